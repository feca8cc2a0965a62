"""`tp-leaderboard`: runs of tp-eval become one static page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from talkingpose.io import console

app = console.application(
    "Build a static page from runs: tables, curves, videos. It needs no server and no network."
)


@app.command()
def build(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or folders of such folders.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the site; replaced only where it is one already.")],
    title: Annotated[str, typer.Option(help="Title of the page.")] = "TalkingPose Bench",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> int:
    """Build a static page from runs: tables, curves, videos.

    The page works from a file, without JavaScript and without a network. The same runs give the same bytes.
    """
    from leaderboard.numbers import counted
    from leaderboard.site import build_site

    report = build_site(runs, out, title)
    for folder in report.left_out:
        console.note(f"left out: {folder}: no run.json in it")
    page = report.site / "index.html"
    if as_json:
        document = {
            "page": str(page),
            "page_bytes": report.page_bytes,
            "boards": report.num_boards,
            "runs": report.num_runs,
            "videos": report.num_videos,
            "left_out": [str(folder) for folder in report.left_out],
        }
        console.emit_json(document)
    else:
        counts = ((report.num_runs, "run"), (report.num_boards, "board"), (report.num_videos, "video"))
        print(f"{page}: {', '.join(counted(number, noun) for number, noun in counts)}")
    return console.EXIT_COMPLETE


def main() -> None:
    """Entry point of `tp-leaderboard`."""
    console.run(app, "tp-leaderboard")
