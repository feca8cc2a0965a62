"""Commands `tp-eval report` and the page of `tp-eval compare`."""

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
