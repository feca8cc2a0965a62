"""Pages without network access: escaped templates, a content policy and texts that cannot disturb a page."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

# Control characters, and characters that reverse the order of the following text.
_UNSHOWABLE = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
_CLEAN = dict.fromkeys(_UNSHOWABLE, "\ufffd") | {ord("\n"): "\n", ord("\t"): " ", 0x85: " "}


def clean_text(text: str) -> str:
    """Replace control characters, direction marks and surrogates, which would disturb a page."""
    return text.translate(_CLEAN).encode("utf-8", "replace").decode()


def render(package: str, template: str, values: dict[str, Any], *, css: str, script: str = "") -> str:
    """Render a template of `PACKAGE/templates`; every text is escaped and cleaned.

    The template receives `css`, `script` and `policy`, the content policy that allows these two, embedded
    pictures, and videos beside the page, and nothing else.

    Args:
        package: package with the folder `templates`.
        template: name of the template.
        values: values for the template: texts, whole numbers and objects that hold them.
        css: name of the style sheet in the same folder.
        script: name of the script in the same folder; empty for a page without one.

    Raises:
        TypeError: the template prints something else than a text or a whole number.
    """
    style = _asset(package, css).strip()
    code = _asset(package, script).strip() if script else ""
    page = _environment(package).get_template(template)
    return page.render(**values, css=style, script=code, policy=content_policy(style, code))


def content_policy(css: str, script: str = "") -> str:
    """Return the policy that allows one style sheet, one script, embedded pictures and videos beside it."""
    allowed = f"script-src '{_digest(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_digest(css)}'; {allowed}img-src data:; media-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(package: str, name: str) -> str:
    return resources.files(package).joinpath("templates", name).read_text(encoding="utf-8")


def _printable(value: Any) -> Any:
    if hasattr(value, "__html__"):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"not for the page: {value!r}")


@cache
def _environment(package: str) -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
