"""`tp-curate`: from footage to a dataset."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from curation.cli import judgement, publish
from curation.cli.download import (
    Budget,
    Cookies,
    DeleteSources,
    License,
    Proxy,
    Rate,
    RetryDead,
    printable,
    register,
    say_end,
    say_refused,
    with_options,
)
from talkingpose.io import console

if TYPE_CHECKING:
    from curation.config import Config
    from curation.executors.base import Executor
    from curation.orchestrator import Inputs
    from curation.records import SourceRecord
    from curation.run import CurationPlan, CurationSummary

app = console.application("Make a clean, pose-annotated dataset of upper-body clips from footage.")


@app.callback()
def _commands() -> None:
    """Keeps `run` a command of its own beside the others."""


@app.command()
def run(
    sources: Annotated[
        list[str],
        typer.Argument(help="Video files, folders, lists (.txt, .csv, .tsv), YouTube ids, addresses."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the dataset; a new one, or that of an earlier run.")],
    config: Annotated[
        Path | None, typer.Option(help="YAML with what differs from curation/default.yaml.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [default: one per core]")] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Curate on a Ray cluster: auto, HOST:PORT, or local for one that begins here.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first N videos.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is left to do; write nothing.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what earlier runs did in this folder.")
    ] = False,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    pose: Annotated[
        str | None, typer.Option(help="mediapipe or dwpose: where keypoints come from. [default: mediapipe]")
    ] = None,
    require_license: License = None,
    disk_budget: Budget = None,
    delete_sources: DeleteSources = False,
    retry_dead: RetryDead = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Judge every shot of the sources and keep the good ones as clips with keypoints.

    The same command again does only what is left. Sources of earlier runs stay in the dataset.
    """
    from curation.config import load_config
    from curation.orchestrator import choose, fetch_and_curate

    settings = load_config(config, pose=pose)
    chosen = choose(sources, limit)
    say_refused(chosen.refused)
    if dry_run:
        return _dry_run(chosen, out, settings, json=json)
    with _executor(ray) as executor, _progress() as (on_plan, on_source):
        summary, acquired = fetch_and_curate(
            chosen,
            out,
            settings,
            with_options(settings.download, rate, licenses=require_license, budget_gb=disk_budget),
            (cookies, proxy),
            workers=workers or executor.num_cpus,
            fresh=fresh,
            delete_sources=delete_sources,
            retry_dead=retry_dead,
            executor=executor,
            on_plan=on_plan,
            on_source=on_source,
            on_end=say_end,
            on_note=console.note,
        )
    if json:
        console.emit_json(summary.document() | acquired.document())
    else:
        print("".join(f"{line}\n" for line in acquired.lines()), end="")
        _print_summary(summary)
    partial = summary.errors or acquired.is_partial or chosen.refused
    return console.EXIT_PARTIAL if partial else console.EXIT_COMPLETE


@contextmanager
def _executor(ray: str | None) -> Iterator[Executor]:
    """Processes of this machine, or the cluster of an address."""
    if ray is None:
        from curation.executors.local_executor import LocalExecutor

        yield LocalExecutor()
        return
    from curation.executors.ray_executor import connect

    with connect(ray) as cluster:
        yield cluster


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="Folder of the dataset; a new one, or that of an earlier run.")],
    clips: Annotated[int, typer.Option(help="How many clips, each of a speaker of its own.")],
    frames: Annotated[str, typer.Option(help="Frames of a clip: N, or LEAST-MOST.")] = "250",
    size: Annotated[int, typer.Option(help="Side of the pictures, in pixels.")] = 256,
    seed: Annotated[int, typer.Option(help="Of the first speaker; the others count on from it.")] = 0,
    fps: Annotated[
        str, typer.Option(help="Frames per second; several, with commas, are taken in turn.")
    ] = "25",
    splits: Annotated[
        str, typer.Option(help="Shares of the splits; a speaker's is settled by the hash of its id.")
    ] = "train=90,validation=5,test=5",
    crf: Annotated[int, typer.Option(help="Of x264, 0 to 51; less is better and larger.")] = 18,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [default: one per core]")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what earlier runs did in this folder.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Draw speakers who do not exist, with exact keypoints, as a dataset.

    The same options give the same bytes. The same command again draws only what is left.
    """
    from curation.synthetic.dataset import (
        SyntheticSettings,
        draw_dataset,
        parse_frames,
        parse_rates,
        parse_splits,
        split_counts,
    )

    drawing = SyntheticSettings(
        clips, parse_frames(frames), size, seed, parse_rates(fps), parse_splits(splits), crf
    )
    with console.progress_bar() as bar:
        task = bar.add_task("clips", total=clips, speed="")

        def on_plan(total: int, left: int) -> None:
            line = f"tp-curate: {total} clips: {left} to draw, {total - left} drawn before"
            bar.console.print(line, markup=False, highlight=False)
            bar.update(task, total=left)

        records = draw_dataset(
            drawing,
            out,
            workers=workers or len(os.sched_getaffinity(0)),
            fresh=fresh,
            on_plan=on_plan,
            on_clip=lambda record: bar.advance(task),
        )
    counts = split_counts(drawing, records)
    num_frames = sum(clip.num_frames for record in records for clip in record.clips)
    if json:
        console.emit_json({"out": str(out), "clips": len(records), "frames": num_frames, "splits": counts})
    else:
        shares = ", ".join(f"{name} {number}" for name, number in counts.items())
        print(f"{len(records)} clips ({shares}), {num_frames} frames in {out}")
    return console.EXIT_COMPLETE


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(help="Folder that `tp-curate run` writes.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every two seconds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Say what runs have done in a folder so far, and what one that fetches is doing now."""
    from curation.orchestrator import acquisition_of, watch_acquisition
    from curation.run import CurationSummary
    from curation.store import Store
    from talkingpose.io.errors import UserError

    store = Store(folder)
    if not store.state.is_dir():
        raise UserError(f"folder {folder}: no run of tp-curate worked here: give the --out of one")
    records = store.records()
    errors = [(record.name, message) for record in records for message in record.errors]
    summary = CurationSummary(folder, len(records) - len({name for name, _ in errors}), 0, records, errors)
    if watch:
        watch_acquisition(folder)
    acquired = acquisition_of(folder)
    if json:
        console.emit_json(summary.document() | acquired.document())
    else:
        print("".join(f"{line}\n" for line in acquired.lines()), end="")
        _print_summary(summary)
    return console.EXIT_COMPLETE


def _dry_run(chosen: Inputs, out: Path, config: Config, *, json: bool) -> int:
    from curation.orchestrator import left_to_fetch
    from curation.run import plan_only

    plan = plan_only(chosen.local, out, config)
    document = {
        "done": [source.name for source in plan.done],
        "todo": [source.name for source in plan.todo],
        "same_content": list(plan.twins),
        "to_fetch": [one.url for one in left_to_fetch(out, chosen.wanted)],
    }
    if json:
        console.emit_json(document)
    else:
        for source in plan.todo:
            print(printable(source.name))
        for url in document["to_fetch"]:
            print(url)
        print(_plan_line(plan))
        if chosen.wanted:
            print(f"{len(chosen.wanted)} videos to be fetched, {len(document['to_fetch'])} of them left")
    return console.EXIT_COMPLETE


@contextmanager
def _progress() -> Iterator[tuple]:  # type: ignore[type-arg]
    """Callbacks for `curate` that keep a bar on stderr."""
    import time

    with console.progress_bar() as bar:
        task = bar.add_task("sources", total=None, speed="")
        begun = time.monotonic()
        kept, footage = 0, 0.0

        def on_plan(plan: CurationPlan) -> None:
            bar.console.print(_plan_line(plan), markup=False, highlight=False)
            bar.update(task, total=len(plan.todo))

        def on_source(record: SourceRecord) -> None:
            nonlocal kept, footage
            kept += len(record.clips)
            footage += sum(shot.end_s - shot.start_s for shot in record.shots)
            speed = footage / max(time.monotonic() - begun, 1e-9)
            bar.update(task, advance=1, speed=f"{kept} clips kept, {speed:.1f} s of footage per second")
            for message in record.errors:
                line = message if record.name in message else f"{record.name}: {message}"
                bar.console.print(f"error: {printable(line)}", markup=False, highlight=False, soft_wrap=True)

        yield on_plan, on_source


def _plan_line(plan: CurationPlan) -> str:
    parts = [f"{len(plan.todo)} to do", f"{len(plan.done)} done before"]
    if plan.twins:
        parts.append(f"{len(plan.twins)} with the content of another")
    if plan.quarantined:
        parts.append(f"{len(plan.quarantined)} in quarantine (--retry-dead tries them again)")
    total = len(plan.todo) + len(plan.done) + len(plan.twins) + len(plan.quarantined)
    return f"{total} sources: {', '.join(parts)}"


def _print_summary(summary: CurationSummary) -> None:
    document = summary.document()
    rows = [("kept", document["clips"]["kept"])]
    if document["clips"]["duplicates"]:
        rows.append(("duplicate of another source", document["clips"]["duplicates"]))
    rows += [(f"rejected: {reason}", number) for reason, number in document["rejected"].items()]
    if document["undecided"]:
        rows.append(("error: undecided", document["undecided"]))
    width = max(len(label) for label, _ in rows)
    for label, number in rows:
        print(f"{label:<{width}}  {number:>6}")
    clips = document["clips"]
    if clips["kept"]:
        print(f"{clips['kept']} clips, {clips['seconds']:.1f} s, {clips['frames']} frames in {summary.out}")
    else:
        print(f"no clip was kept; {summary.out}/verdicts.jsonl says why")
    for name, message in summary.errors:
        print(f"error: {printable(message if name in message else f'{name}: {message}')}")


register(app)
judgement.register(app)
publish.register(app)


def main() -> NoReturn:
    """Entry point of `tp-curate`."""
    console.run(app, "tp-curate")
