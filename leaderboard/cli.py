"""`tp-leaderboard`: a static site from runs of tp-eval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from talkingpose.io import console

if TYPE_CHECKING:
    from leaderboard.site import SiteReport

app = console.application("Build a static page from runs: tables, curves, videos. It needs no server.")


@app.command()
def build(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or folders of such folders.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the site; an earlier site in it is replaced.")],
    title: Annotated[str, typer.Option(help="Title of the page.")] = "TalkingPose Bench",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> int:
    """Check runs and build a static page from them.

    Every run is checked by its own files before it is shown. Runs that contradict themselves are refused:
    they are listed, the others are shown, and the exit code is 3. The page works from a file, without
    JavaScript and without a network. The same runs give the same bytes.
    """
    from leaderboard.site import build_site
    from talkingpose.io.progress import ConsoleProgress

    with ConsoleProgress() as progress:
        report = build_site(runs, out, title, progress)
    for folder in report.left_out:
        console.note(f"left out: {folder}: no run.json in it")
    for run in report.refused:
        for line in run.lines():
            console.note(f"refused: {line}")
    for folder, reason in report.not_verified:
        console.note(f"not verified: {folder}: {reason}")
    if as_json:
        console.emit_json(_document(report))
    else:
        print(f"{report.site / 'index.html'}: {_counts(report)}")
    return console.EXIT_PARTIAL if report.refused else console.EXIT_COMPLETE


def _document(report: SiteReport) -> dict[str, Any]:
    return {
        "page": str(report.site / "index.html"),
        "page_bytes": report.page_bytes,
        "boards": report.num_boards,
        "runs": report.num_runs,
        "verified": report.num_verified,
        "not_verified": [{"run": str(folder), "reason": reason} for folder, reason in report.not_verified],
        "refused": [{"run": str(run.folder), "reasons": list(run.reasons)} for run in report.refused],
        "videos": report.num_videos,
        "left_out": [str(folder) for folder in report.left_out],
    }


def _counts(report: SiteReport) -> str:
    from leaderboard.number_format import counted

    numbers = ((report.num_runs, "run"), (report.num_boards, "board"), (report.num_videos, "video"))
    counts = [counted(number, noun) for number, noun in numbers]
    counts.insert(1, f"{report.num_verified} verified")
    if report.refused:
        counts.append(f"{len(report.refused)} refused")
    return ", ".join(counts)


def main() -> None:
    """Run `tp-leaderboard`."""
    console.run(app, "tp-leaderboard")
