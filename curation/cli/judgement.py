"""Commands of `tp-curate` about verdicts: explain, report, calibrate, estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curation.cli.options import (
    ConfigFile,
    Cookies,
    Folder,
    For,
    Json,
    Proxy,
    Rate,
    Sources,
    Workers,
    load_settings,
    note_refused,
    printable,
    shown_progress,
)
from talkingpose.io import console


def register(app: typer.Typer) -> None:
    """Add the commands to `tp-curate`."""
    for command in (explain, report, calibrate, estimate):
        app.command()(command)


def explain(
    folder: Folder,
    clip: Annotated[str, typer.Argument(help="Clip id or its beginning, or id or name of a source.")],
    json: Json = False,
) -> int:
    """Explain the verdict of a clip, or of each span of a source."""
    from curation.report import explain as path

    decisions = path.find_decisions(folder, clip)
    if json:
        console.emit_json(path.document(decisions))
    else:
        print("\n".join(printable(line) for line in path.lines(decisions)))
    return console.EXIT_COMPLETE


def report(
    folder: Folder,
    to: Annotated[Path | None, typer.Option(help="HTML file. [default: FOLDER/report.html]")] = None,
    pictures: Annotated[int, typer.Option(min=0, help="Maximum number of spans shown per reason.")] = 12,
    videos: Annotated[int, typer.Option(min=0, help="Maximum number of spans that can be played.")] = 400,
) -> int:
    """Write an HTML page to see, play, and review all verdicts."""
    from curation.report.pages import write_report

    with shown_progress() as progress:
        path = write_report(folder, to, pictures=pictures, videos=videos, progress=progress)
    print(printable(str(path)))
    return console.EXIT_COMPLETE


def calibrate(
    labels: Annotated[Path, typer.Argument(help="CSV: file, keep (yes or no), optional start_s and end_s.")],
    folder: Annotated[Path, typer.Argument(help="Output folder of a run over the labelled footage.")],
    column: Annotated[str, typer.Option(help="Column of the label.")] = "keep",
    json: Json = False,
) -> int:
    """Compare verdicts with labels and propose thresholds."""
    from curation.report.calibrate import calibrate as compare
    from curation.report.calibrate import lines
    from curation.report.labels import LabelError, read_labels
    from curation.store import Store

    table = read_labels(labels, column)
    store = Store(folder)
    found = compare(store.records() if store.state.is_dir() else [], table)
    if not found.filters and not found.undecided:
        raise LabelError(f"labels {labels}: no labelled file in {folder}: run tp-curate on the files first")
    if json:
        console.emit_json(found.document())
    else:
        print("\n".join(printable(line) for line in lines(found)))
    return console.EXIT_PARTIAL if found.not_judged or found.undecided else console.EXIT_COMPLETE


def estimate(
    sources: Sources,
    sample: Annotated[int, typer.Option(min=1, help="Size of the random sample.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Keep the results in this folder, as the start of a run.")
    ] = None,
    config: ConfigFile = None,
    workers: Workers = None,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    protocol: For = None,
    json: Json = False,
) -> int:
    """Curate a sample and extrapolate clips, hours, gigabytes."""
    import tempfile

    from curation.download.access import read_access
    from curation.orchestrator import fetch_and_curate, read_inputs
    from curation.report.estimate import estimate_totals, sample_sources
    from curation.run import RunOptions

    settings = load_settings(config, rate, protocol=protocol)
    options = RunOptions(workers=workers, access=read_access(cookies, proxy))
    inputs = read_inputs(sources)
    note_refused(inputs.refused, inputs.skipped)
    drawn = sample_sources(inputs, sample, seed)
    with tempfile.TemporaryDirectory() as folder, shown_progress() as progress:
        target = out or Path(folder) / "sample"
        summary = fetch_and_curate(drawn.chosen, target, settings, options, progress)
    predicted = estimate_totals(drawn, summary.records)
    if json:
        console.emit_json(predicted.document())
    else:
        print("\n".join(printable(line) for line in predicted.lines()))
    return console.EXIT_COMPLETE
