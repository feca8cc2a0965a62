"""Templates of the site; they print nothing but cleaned texts and whole numbers."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

# Control characters, and characters that reverse the order of the following text.
_UNSHOWABLE = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
_CLEAN = dict.fromkeys(_UNSHOWABLE, "�") | {ord("\n"): "\n", ord("\t"): " ", 0x85: " "}


def clean(value: Any) -> Any:
    """Return what the template may print: texts without control characters, and whole numbers.

    Raises:
        TypeError: anything else, so that neither None nor an unrounded number can reach the page.
    """
    if hasattr(value, "__html__"):
        return value
    if isinstance(value, str):
        return value.translate(_CLEAN).encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"not for the page: {value!r}")


def asset(name: str) -> str:
    """Read a file beside the templates."""
    return resources.files("leaderboard").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def environment() -> jinja2.Environment:
    """Return the environment that escapes, cleans, and refuses names that do not exist."""
    import jinja2

    from leaderboard.figures.board_figures import style_of
    from leaderboard.text import number_format

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("leaderboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals.update(style_of=style_of, number_format=number_format)
    return templates
