"""Entry point of `tp-curate`, and its main commands: run, export, status, synth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from curation.cli import download, judgement, publish
from curation.cli.options import (
    Budget,
    ConfigFile,
    Cookies,
    DeleteSources,
    Folder,
    For,
    Json,
    License,
    Out,
    Proxy,
    Rate,
    RetryDead,
    ShardOption,
    Sources,
    Workers,
    load_settings,
    note_refused,
    printable,
    read_shard,
    shown_progress,
)
from talkingpose.io import console

if TYPE_CHECKING:
    from curation.config import Config
    from curation.executors.base import Executor
    from curation.orchestrator import Inputs
    from curation.run import CurationSummary

app = console.application("Make a pose-annotated dataset of upper-body clips from footage.")

Fresh = Annotated[bool, typer.Option("--fresh", help="Discard the results of earlier runs in the folder.")]


@app.callback()
def _commands() -> None:
    """Keep `run` a command beside the others."""


@app.command()
def run(
    sources: Sources,
    out: Out,
    config: ConfigFile = None,
    workers: Workers = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Ray cluster: auto, HOST:PORT, or local to start one here."),
    ] = None,
    shard: ShardOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of sources to take.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what remains to do.")] = False,
    fresh: Fresh = False,
    cookies: Cookies = None,
    proxy: Proxy = None,
    rate: Rate = None,
    pose: Annotated[
        str | None, typer.Option(help="Keypoint detector: mediapipe or dwpose. [default: mediapipe]")
    ] = None,
    gop: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=600,
            help="Frames from key frame to key frame: 12 for random access. [default: the encoder's]",
        ),
    ] = None,
    require_license: License = None,
    disk_budget: Budget = None,
    delete_sources: DeleteSources = False,
    retry_dead: RetryDead = False,
    protocol: For = None,
    audio: Annotated[bool, typer.Option("--audio", help="Keep the audio track of the clips.")] = False,
    json: Json = False,
) -> int:
    """Curate sources: keep good shots as clips with keypoints.

    The same command resumes. Sources of earlier runs stay in the dataset. With --shard, run
    `tp-curate export` when all shards have ended.
    """
    from curation.download.access import read_access
    from curation.orchestrator import fetch_and_curate, read_inputs
    from curation.run import RunOptions

    settings = load_settings(
        config,
        rate,
        pose=pose,
        licenses=require_license,
        budget_gb=disk_budget,
        protocol=protocol,
        gop=gop,
        audio=audio,
    )
    access = read_access(cookies, proxy)
    part = read_shard(shard)
    inputs = read_inputs(sources, limit)
    note_refused(inputs.refused, inputs.skipped)
    if dry_run:
        return _dry_run(inputs.part(part), out, settings, json=json)
    with _executor(ray) as executor, shown_progress() as progress:
        options = RunOptions(
            workers=workers,
            fresh=fresh,
            retry_dead=retry_dead,
            delete_sources=delete_sources,
            shard=part,
            access=access,
            executor=executor,
        )
        summary = fetch_and_curate(inputs, out, settings, options, progress)
    _show(summary, json=json)
    if part is not None:
        console.note(
            f"tp-curate: shard {part} has ended: when all have, run tp-curate export {printable(str(out))}"
        )
    return console.EXIT_PARTIAL if summary.is_partial or inputs.refused else console.EXIT_COMPLETE


@contextmanager
def _executor(ray: str | None) -> Iterator[Executor]:
    """Yield the executor: processes of this machine, or of a Ray cluster."""
    if ray is None:
        from curation.executors.local_executor import LocalExecutor

        yield LocalExecutor()
        return
    from curation.executors.ray_executor import connect

    with connect(ray) as cluster:
        yield cluster


@app.command()
def export(folder: Folder, config: ConfigFile = None, json: Json = False) -> int:
    """Write the dataset of everything curated in a folder.

    For the end of a run in shards, or of one that was interrupted; `tp-curate run` does it by itself.
    """
    from curation.run import export_folder

    _show(export_folder(folder, load_settings(config)), json=json)
    return console.EXIT_COMPLETE


@app.command()
def status(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every two seconds.")] = False,
    json: Json = False,
) -> int:
    """Show the state of a folder and of its downloads."""
    from curation.orchestrator import report_downloads, watch_downloads
    from curation.run import summarize

    summary = summarize(folder)
    if watch:
        watch_downloads(folder)
    summary.downloads = report_downloads(folder)
    _show(summary, json=json)
    return console.EXIT_COMPLETE


@app.command()
def synth(
    out: Out,
    clips: Annotated[int, typer.Option(help="Number of clips, each of another speaker.")],
    frames: Annotated[str, typer.Option(help="Frames per clip: N, or MIN-MAX.")] = "250",
    size: Annotated[int, typer.Option(help="Side of the square frames in pixels.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the first speaker; the others follow.")] = 0,
    fps: Annotated[str, typer.Option(help="Frames per second; several, with commas, alternate.")] = "25",
    splits: Annotated[
        str, typer.Option(help="Shares of the splits; the hash of a speaker's id selects its split.")
    ] = "train=90,validation=5,test=5",
    crf: Annotated[
        int, typer.Option(help="x264 CRF (0-51); lower is better quality and a larger file.")
    ] = 18,
    workers: Workers = None,
    fresh: Fresh = False,
    json: Json = False,
) -> int:
    """Draw a dataset of synthetic speakers with exact keypoints.

    The same options give the same bytes, and the same command resumes.
    """
    from curation.executors.local_executor import LocalExecutor
    from curation.synthetic.dataset import SyntheticSettings, draw_dataset, split_counts

    settings = SyntheticSettings.parse(clips, frames, size, seed, fps, splits, crf)
    with shown_progress() as progress:
        num_workers = workers or LocalExecutor().num_cpus
        records = draw_dataset(settings, out, workers=num_workers, fresh=fresh, progress=progress)
    counts = split_counts(settings, records)
    num_frames = sum(clip.num_frames for record in records for clip in record.clips)
    if json:
        console.emit_json({"out": str(out), "clips": len(records), "frames": num_frames, "splits": counts})
    else:
        shares = ", ".join(f"{name} {number}" for name, number in counts.items())
        print(f"{len(records)} clips ({shares}), {num_frames} frames in {out}")
    return console.EXIT_COMPLETE


def _dry_run(inputs: Inputs, out: Path, config: Config, *, json: bool) -> int:
    from curation.orchestrator import pending_downloads
    from curation.run import dry_run

    plan = dry_run(inputs.local, out, config)
    pending = [one.url for one in pending_downloads(out, inputs.remote)]
    document = {
        "done": [source.name for source in plan.done],
        "todo": [source.name for source in plan.todo],
        "same_content": list(plan.same_content),
        "to_download": pending,
    }
    if json:
        console.emit_json(document)
        return console.EXIT_COMPLETE
    for name in [*document["todo"], *pending]:
        print(printable(name))
    print(plan)
    if inputs.remote:
        print(f"{len(inputs.remote)} remote sources, {len(pending)} to download")
    return console.EXIT_COMPLETE


def _show(summary: CurationSummary, *, json: bool) -> None:
    """Print a summary on stdout."""
    from curation.protocols import LONG, MIN_FRAMES
    from curation.run import with_name

    document = summary.document()
    if json:
        console.emit_json(document)
        return
    if summary.downloads is not None:
        for line in summary.downloads.lines():
            print(printable(line))
    for worker in summary.workers:
        print(printable(f"at work: {worker}"))
    rows = [("kept", document["clips"]["kept"])]
    if summary.duplicates:
        rows.append(("duplicate of another source", len(summary.duplicates)))
    rows += [(f"rejected: {reason}", number) for reason, number in document["rejected"].items()]
    if document["undecided"]:
        rows.append(("error: undecided", document["undecided"]))
    width = max(len(label) for label, _ in rows)
    for label, number in rows:
        print(f"{label:<{width}}  {number:>6}")
    clips = document["clips"]
    if clips["kept"]:
        print(f"{clips['kept']} clips, {clips['seconds']:.1f} s, {clips['frames']} frames in {summary.out}")
        print(f"{clips['long']} of them have the {MIN_FRAMES[LONG]} frames that {LONG} needs")
    else:
        print(f"no clip was kept: see {summary.out}/verdicts.jsonl")
    for name, message in summary.errors:
        print(f"error: {printable(with_name(name, message))}")


download.register(app)
judgement.register(app)
publish.register(app)


def main() -> NoReturn:
    """Run the command line of `tp-curate`."""
    console.run(app, "tp-curate")
