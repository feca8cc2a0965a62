"""The commands of `tp-curate` that say why: explain, report, calibrate, estimate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from curation.cli.download import (
    ConfigFile,
    Cookies,
    Proxy,
    Rate,
    printable,
    say_end,
    say_refused,
    with_options,
)
from talkingpose.io import console

Folder = Annotated[Path, typer.Argument(help="Folder that `tp-curate run` wrote.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `tp-curate`."""
    for command in (explain, report, calibrate, estimate):
        app.command()(command)


def explain(
    folder: Folder,
    clip: Annotated[str, typer.Argument(help="A clip id or its beginning, or the id or name of a source.")],
    json: Json = False,
) -> int:
    """Tell how a clip, or every span of a source, came to its verdict."""
    from curation.report import explain as path

    decisions = path.find_decisions(folder, clip)
    if json:
        console.emit_json(path.document(decisions))
    else:
        print("\n".join(printable(line) for line in path.lines(decisions)))
    return console.EXIT_COMPLETE


def report(
    folder: Folder,
    to: Annotated[Path | None, typer.Option(help="The page. [default: FOLDER/report.html]")] = None,
    pictures: Annotated[int, typer.Option(min=0, help="Spans shown per reason, at most.")] = 12,
) -> int:
    """Write a page: what is kept and why not the rest, with scores, thresholds and pictures."""
    from curation.report.pages import write_report

    print(write_report(folder, to, pictures=pictures))
    return console.EXIT_COMPLETE


def calibrate(
    labels: Annotated[Path, typer.Argument(help="CSV: file, keep (yes or no), and start_s, end_s of parts.")],
    folder: Annotated[Path, typer.Argument(help="Folder of a run over the labelled footage.")],
    column: Annotated[str, typer.Option(help="Column of the label.")] = "keep",
    json: Json = False,
) -> int:
    """Say how well each threshold parts wanted from unwanted footage, and propose better ones."""
    from curation.report.calibrate import calibrate as compare
    from curation.report.calibrate import lines
    from curation.report.labels import LabelError, read_labels
    from curation.store import Store

    table = read_labels(labels, column)
    store = Store(folder)
    found = compare(store.records() if store.state.is_dir() else [], table)
    if not found.filters and not found.undecided:
        raise LabelError(f"labels {labels}: nothing of it was judged in {folder}: run tp-curate on it first")
    if json:
        console.emit_json(found.document())
    else:
        print("\n".join(printable(line) for line in lines(found)))
    return console.EXIT_PARTIAL if found.not_judged or found.undecided else console.EXIT_COMPLETE


def estimate(
    sources: Annotated[
        list[str],
        typer.Argument(help="Video files, folders, lists (.txt, .csv, .tsv), YouTube ids, addresses."),
    ],
    sample: Annotated[int, typer.Option(min=1, help="Sources to judge, drawn at random.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Keep the work in this folder, as the beginning of a run.")
    ] = None,
    config: ConfigFile = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [default: one per core]")] = None,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    json: Json = False,
) -> int:
    """Judge a sample and predict for all sources: hours kept, clips, CPU hours, gigabytes."""
    import tempfile

    from curation.config import load_config
    from curation.orchestrator import choose, fetch_and_curate
    from curation.report.estimate import estimate_totals, sample_sources

    settings = load_config(config)
    chosen = choose(sources)
    say_refused(chosen.refused)
    drawn = sample_sources(chosen, sample, seed)
    with tempfile.TemporaryDirectory() as folder, console.progress_bar() as bar:
        task = bar.add_task("sources", total=len(drawn.chosen.local) + len(drawn.chosen.wanted), speed="")
        summary, _ = fetch_and_curate(
            drawn.chosen,
            out or Path(folder) / "sample",
            settings,
            with_options(settings.download, rate),
            (cookies, proxy),
            workers=workers or len(os.sched_getaffinity(0)),
            on_source=lambda record: bar.advance(task),
            on_end=say_end,
            on_note=console.note,
        )
    predicted = estimate_totals(drawn, summary.records)
    if json:
        console.emit_json(predicted.document())
    else:
        print("\n".join(printable(line) for line in predicted.lines()))
    return console.EXIT_COMPLETE
