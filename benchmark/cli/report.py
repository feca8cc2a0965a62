"""Commands that hand a run on: `tp-eval report` and `tp-eval submit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from talkingpose.io import console
from talkingpose.io.progress import ConsoleProgress


def report_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path | None, typer.Option(help="Page to write. [default: RUN/report.html]")] = None,
    control: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a control run; repeat for more. [default: those beside RUN]"),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Location of the dataset, for real frames. [default: the run's, if local]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Write a page about one run.

    The page shows the numbers with their intervals, what controls say about them, the worst moments as
    pictures, and the sentence that a paper may quote. It is one file. It needs no board, no network and
    no JavaScript.
    """
    from benchmark.report.run_page import write_run_report

    with ConsoleProgress() as progress:
        report = write_run_report(run, out, controls=control or (), dataset=dataset, progress=progress)
    if as_json:
        console.emit_json(report.document())
        return console.EXIT_COMPLETE
    print(report.sentence)
    for line in report.cautions:
        print(f"- {line}")
    for line in report.remarks:
        console.note(f"tp-eval: {line}")
    print(f"\n{report.page}")
    return console.EXIT_COMPLETE


def submit_command(
    run: Annotated[Path, typer.Argument(help="Folder of a complete run.")],
    out: Annotated[Path | None, typer.Option(help="Archive to write. [default: RUN.zip]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Check a run and pack it into an archive for a board.

    The archive lists the SHA-256 of every file. `tp-leaderboard --submissions DIR` verifies it.
    """
    from benchmark.submission import SUFFIX, write_submission

    archive = out or run.resolve().with_name(run.resolve().name + SUFFIX)
    manifest = write_submission(run, archive)
    size = sum(file.bytes for file in manifest.files.values())
    if as_json:
        console.emit_json({"archive": str(archive), "bytes": size, "files": len(manifest.files)})
    else:
        facts = f"{manifest.name}, {manifest.protocol}, {len(manifest.files)} files"
        print(f"{archive}: {facts}, {size / 1e6:.1f} MB")
    return console.EXIT_COMPLETE
