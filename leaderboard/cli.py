"""`tp-leaderboard`: a static site from runs of tp-eval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from leaderboard.study.cli import study_command, votes_command
from talkingpose.io import console

if TYPE_CHECKING:
    from leaderboard.site import SiteReport

app = console.application("Show runs of tp-eval: a static board, and comparisons by people.")


class _BoardGroup(TyperGroup):
    """Group of commands in which `RUN...` stands for `build RUN...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default command."""
        if args and args[0] not in self.commands and args[0] not in console.GLOBAL_OPTIONS:
            args = ["build", *args]
        return super().parse_args(ctx, args)


app.info.cls = _BoardGroup


@app.command("build")
def build(
    out: Annotated[Path, typer.Option(help="Folder of the site; an earlier site in it is replaced.")],
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Folders of runs, or folders of such folders."),
    ] = None,
    submissions: Annotated[
        Path | None, typer.Option(help="Folder with archives of tp-eval submit, to verify and take in.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "TalkingPose Bench",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> int:
    """Check runs and build a static page from them.

    Every run is checked by its own files before it is shown. Runs that contradict themselves are refused:
    they are listed, the others are shown, and the exit code is 3. The page works from a file, without
    JavaScript and without a network. The same runs give the same bytes.
    """
    from leaderboard.entries.submissions import opened_submissions
    from leaderboard.site import build_site
    from talkingpose.io.errors import UserError
    from talkingpose.io.progress import ConsoleProgress

    if not runs and submissions is None:
        raise UserError("no run: give folders of runs, or --submissions")
    with ConsoleProgress() as progress, opened_submissions(submissions, out, progress) as opened:
        for _, reason in opened.refused:
            console.note(f"refused: {reason}")
        report = build_site([*(runs or ()), *opened.folders], out, title, progress)
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
    return console.EXIT_PARTIAL if report.refused or opened.refused else console.EXIT_COMPLETE


@app.command("serve")
def serve(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or folders of such folders.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0 for a free one.")] = 8000,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "TalkingPose Bench",
) -> int:
    """Serve a live board on this machine.

    It is built again when a run changes. Ctrl+C ends it.
    """
    from leaderboard.hosting.serve import LiveBoard

    try:
        LiveBoard(runs, title, console.note).serve(port)
    except KeyboardInterrupt:
        console.note("stopped")
    return console.EXIT_COMPLETE


@app.command("push")
def push(
    site: Annotated[Path, typer.Argument(help="Folder of a site that this program wrote.")],
    space: Annotated[str, typer.Argument(metavar="USER/NAME", help="Static Space of the Hugging Face Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Create a private Space.")] = False,
) -> int:
    """Upload a site to a static Space.

    For another web host, copy the folder. The token is that of `hf auth login`. Everything in the site
    becomes public, videos included, unless the Space is private: check the licence of the dataset first.
    """
    from leaderboard.hosting.push import push_site

    print(push_site(site, space, private=private))
    return console.EXIT_COMPLETE


app.command("study")(study_command)
app.command("votes")(votes_command)


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
    from leaderboard.text.number_format import counted

    numbers = ((report.num_runs, "run"), (report.num_boards, "board"), (report.num_videos, "video"))
    counts = [counted(number, noun) for number, noun in numbers]
    counts.insert(1, f"{report.num_verified} verified")
    if report.refused:
        counts.append(f"{len(report.refused)} refused")
    return ", ".join(counts)


def main() -> None:
    """Run `tp-leaderboard`."""
    console.run(app, "tp-leaderboard")
