"""Pages beside the first one: they lie in `pages/` and share `assets/`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.entries.groups import BoardGroup
from leaderboard.figures import svg
from leaderboard.figures.board_figures import MARKERS
from leaderboard.pages.templating import asset, environment

# Every file comes from the folder of the site. A page opened from a file has no origin, so `file:` is named.
_POLICY = (
    "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src 'self' file: data:; "
    "media-src 'self' file:; base-uri 'none'; form-action 'none'"
)
ASSETS = {"site.css": "style.css", "board.js": "board.js", "clip.js": "clip.js"}


@dataclass(frozen=True)
class SitePage:
    """A rendered page: file name in `pages/` and HTML."""

    name: str
    html: str


def render_site_page(
    template: str,
    name: str,
    site_title: str,
    group: BoardGroup,
    *,
    heading: str,
    links: Sequence[tuple[str, str]] = (),
    script: str = "",
    **content: Any,
) -> SitePage:
    """Render a page of a board.

    Args:
        template: file name of the template.
        name: file name of the page.
        site_title: title of the site, which links back to the board.
        group: the board.
        heading: title of the page.
        links: (text, address) beside the link to the board.
        script: name of its script in `assets/`, empty for none.
        **content: what the template shows.
    """
    html = (
        environment()
        .get_template(template)
        .render(
            title=site_title,
            heading=heading,
            group=group,
            links=links,
            script=script,
            policy=_POLICY,
            markers=[svg.marker_path(vertices) for vertices in MARKERS],
            **content,
        )
    )
    return SitePage(name, html)


def asset_texts() -> dict[str, str]:
    """Return the files of `assets/` by name."""
    return {name: asset(source) for name, source in ASSETS.items()}
