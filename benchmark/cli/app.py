"""Command line of `tp-eval`; each command calls the module that does the work."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from benchmark.cli import report, weights
from benchmark.cli.options_file import read_options
from benchmark.data.bundled import TP_MINI, protocol_of
from talkingpose.io import console
from talkingpose.io.progress import ConsoleProgress

if TYPE_CHECKING:
    from benchmark.results import Run
    from benchmark.runner.devices import WorkerDevice
    from benchmark.runner.run_settings import RunSettings
    from talkingpose.data.contestant import FramesSeen
    from talkingpose.pose.styles import PoseStyle

PROGRAM = "tp-eval"
_SMOKE_FRAMES = 24
EXIT_CODES = "Exit codes: 0 complete, 2 wrong input, 3 some clips failed; they are listed."

app = console.application("Score models that animate a portrait, on clips of more than 100 frames.")
app.add_typer(weights.app, name="weights", help="List, fetch and verify weight files.")

Dataset = Annotated[str, typer.Option(help="tp-mini (bundled), a folder, or owner/name[@revision].")]
Split = Annotated[str | None, typer.Option(help="[default: test if it has usable clips, else all]")]
ProtocolName = Annotated[
    str | None,
    typer.Option("--protocol", help="tp-eval ls protocols lists them. [default: tp-mini@2 or tp-long@2]"),
]
Limit = Annotated[int | None, typer.Option(help="Only the first N clips; not comparable.")]
MaxFrames = Annotated[int | None, typer.Option(help="Only the first N frames per clip; not comparable.")]
Smoke = Annotated[
    bool,
    typer.Option("--smoke", help="Trial of 24 frames, or --max-frames, under any protocol; never ranked."),
]
AllMetrics = Annotated[
    bool, typer.Option("--all", help="Show all metrics in the table, not only the primary ones.")
]
CodecRun = Annotated[
    Path | None, typer.Option(help="Run of the control reencode on the same clips, to measure drift against.")
]
PredictionMap = Annotated[
    Path | None,
    typer.Option("--map", help="CSV with the columns clip_id and prediction, such as cases.csv."),
]
Workers = Annotated[
    int,
    typer.Option(help="Number of processes on the device; each loads the model and takes the next clips."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")]
InProcess = Annotated[
    bool,
    typer.Option("--in-process", help="Run the model in this process, for debugging; the board shows it."),
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="YAML with what differs from benchmark/default.yaml.", callback=read_options, is_eager=True
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the clips that are to do; write nothing.")]
RunJson = Annotated[bool, typer.Option("--json", help="Print run.json instead of a table.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("run", epilog=EXIT_CODES)
def run_command(
    model: Annotated[str, typer.Option(help="Name (tp-eval ls contestants) or package.module:Class.")],
    dataset: Dataset = TP_MINI,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; the same command resumes it. [default: runs/MODEL]"),
    ] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Folder of weights, or tiny (bundled).")] = None,
    model_args: Annotated[str, typer.Option(help="Settings of the model: key=value,key=value.")] = "",
    split: Split = None,
    protocol: ProtocolName = None,
    limit: Limit = None,
    max_frames: MaxFrames = None,
    smoke: Smoke = False,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    seeds: Annotated[
        int | None, typer.Option(help="Number of runs, with seeds from --seed on, in OUT/seed-N.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N. [default: cpu on tp-mini, else auto]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Clips generated together. [default: the model's own]")
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(help="One process per device: all, GPUs such as 0,1, or cpu:N; the same result."),
    ] = None,
    workers: Workers = 1,
    fresh: Fresh = False,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Part of the work, such as 2/4, or auto (Slurm array, RANK); all parts share one --out."
        ),
    ] = None,
    keep_frames: Annotated[
        bool, typer.Option("--keep-frames", help="Store the frames without loss, for tp-eval rescore.")
    ] = False,
    codec_run: CodecRun = None,
    timeout: Annotated[
        float, typer.Option(help="Longest wait for the model to load and for a frame, in seconds.")
    ] = 900,
    in_process: InProcess = False,
    config: Config = None,
    dry_run: DryRun = False,
    all_metrics: AllMetrics = False,
    as_json: RunJson = False,
) -> int:
    """Generate and score videos of a model."""
    from benchmark.runner.run_settings import RunSettings

    place = out or Path("runs") / model.replace(":", "-")
    settings = RunSettings(
        model=model,
        dataset=dataset,
        out=place,
        checkpoint=checkpoint,
        model_args=_model_args(model_args),
        split=split,
        protocol=protocol or protocol_of(dataset, None if fresh else place),
        limit=limit,
        max_frames=_frames(max_frames, smoke),
        smoke=smoke,
        seed=seed,
        device=device or _default_device(dataset, shard),
        batch_size=batch_size,
        fresh=fresh,
        shard=_shard(shard),
        keep_frames=keep_frames,
        codec_run=codec_run,
        in_process=in_process or None,
        timeout_s=timeout,
    )
    if dry_run:
        return _dry_run(settings, as_json)
    places = _devices(devices, device, settings, workers)
    if seeds is not None:
        return _evaluate_seeds(settings, seeds, places, as_json, all_metrics)
    return _evaluate(settings, places, as_json, all_metrics)


@app.command("score", epilog=EXIT_CODES)
def score_command(
    predictions: Annotated[Path, typer.Option(help="Folder with CLIP.mp4, or CLIP/ of PNG frames.")],
    name: Annotated[str, typer.Option(help="Name of the model on the leaderboard.")],
    prediction_map: PredictionMap = None,
    dataset: Dataset = TP_MINI,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; the same command resumes it. [default: runs/NAME]")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Revision of the model. [default: a hash of the videos]")
    ] = None,
    driving_frames: Annotated[
        str, typer.Option(help="Driving frames that the model saw: none, face or all.")
    ] = "none",
    backbone: Annotated[
        str | None, typer.Option(help="Pretrained model it is built on, to group rows of the board.")
    ] = None,
    split: Split = None,
    protocol: ProtocolName = None,
    limit: Limit = None,
    max_frames: MaxFrames = None,
    smoke: Smoke = False,
    workers: Workers = 1,
    fresh: Fresh = False,
    codec_run: CodecRun = None,
    config: Config = None,
    dry_run: DryRun = False,
    all_metrics: AllMetrics = False,
    as_json: RunJson = False,
) -> int:
    """Score finished videos, matched by clip id or by a map."""
    from benchmark.runner.run_settings import RunSettings

    settings = RunSettings(
        model=name,
        dataset=dataset,
        out=out or Path("runs") / name.replace("/", "-"),
        split=split,
        protocol=protocol or protocol_of(dataset, None if fresh else out),
        limit=limit,
        max_frames=_frames(max_frames, smoke),
        smoke=smoke,
        device="cpu",
        fresh=fresh,
        codec_run=codec_run,
        predictions=predictions,
        revision=revision,
        prediction_map=prediction_map,
        driving_frames=cast("FramesSeen", driving_frames),
        backbone=backbone,
    )
    if dry_run:
        return _dry_run(settings, as_json)
    return _evaluate(settings, _devices(None, None, settings, workers), as_json, all_metrics)


@app.command("cases", epilog=EXIT_CODES)
def cases_command(
    out: Annotated[Path, typer.Option(help="Folder to write; the same command completes it.")],
    dataset: Dataset = TP_MINI,
    protocol: ProtocolName = None,
    split: Split = None,
    limit: Limit = None,
    max_frames: MaxFrames = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    pose_style: Annotated[
        str, typer.Option(help="Style of the pose pictures: dwpose, openpose, openpose18 or mimicmotion.")
    ] = "dwpose",
    png: Annotated[bool, typer.Option("--png", help="Write the pose pictures as PNG, too.")] = False,
    driving_frames: Annotated[
        str | None,
        typer.Option(
            help="Driving video to write: none, face or all. [default: all across identities, else none]"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export in the folder.")] = False,
    as_json: Json = False,
) -> int:
    """Export portraits and poses for a model that runs elsewhere."""
    from benchmark.runner.predictions.cases import MAP, ExportSettings, export_cases

    settings = ExportSettings(
        dataset=dataset,
        out=out,
        protocol=protocol or protocol_of(dataset),
        split=split,
        limit=limit,
        max_frames=max_frames,
        seed=seed,
        pose_style=cast("PoseStyle", pose_style),
        png=png,
        driving_frames=cast("FramesSeen | None", driving_frames),
        overwrite=overwrite,
    )
    with _Progress() as progress:
        found = export_cases(settings, progress)
    if as_json:
        document = {"map": str(out / MAP), "cases": found.rows, "failed": found.failed, "audit": found.audit}
        console.emit_json(document)
    else:
        print(f"{len(found.rows)} cases, see {out / MAP}")
    for clip_id, reason in found.failed.items():
        console.note(f"{PROGRAM}: {clip_id}: failed: {reason}")
    return console.EXIT_PARTIAL if found.failed else console.EXIT_COMPLETE


@app.command("import", epilog="Exit codes: 0 complete, 2 wrong input, 3 some clips failed; they are listed.")
def import_command(
    layout: Annotated[str, typer.Argument(help="Layout of the data: tiktok, ted or emtd.")],
    source: Annotated[Path, typer.Argument(help="Folder of your copy of the data; it is not changed.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write; the same command resumes.")],
    only: Annotated[str, typer.Option(help="Names of clips, separated by commas. [default: all]")] = "",
    fps: Annotated[
        str | None, typer.Option(help="Frame rate of pictures, such as 25 or 30000/1001. [tiktok: 30]")
    ] = None,
    as_json: Json = False,
) -> int:
    """Import published test data, to replay protocols of papers."""
    from benchmark.data.import_clips import import_clips, layout_of

    with _Progress() as progress:
        found = import_clips(
            layout_of(layout), source, out, only=_names(only), fps=_rate(fps), progress=progress
        )
    command = f"{PROGRAM} --model NAME --dataset {out} --protocol {found.protocol}"
    if as_json:
        document = {"clips": found.clip_ids, "failed": dict(found.failed), "protocol": found.protocol}
        console.emit_json(document)
    else:
        print(f"{len(found.clip_ids)} clips in {out}\n{command}")
    for name, reason in found.failed.items():
        console.note(f"{PROGRAM}: {name}: failed: {reason}")
    return console.EXIT_PARTIAL if found.failed else console.EXIT_COMPLETE


@app.command("rescore")
def rescore_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run that was made with --keep-frames.")],
    dataset: Annotated[
        str | None, typer.Option(help="Location of the dataset. [default: the one that the run names]")
    ] = None,
    metrics: Annotated[str, typer.Option(help="Metric ids, separated by commas. [default: all]")] = "",
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Only summarize the stored scores; needs no frames.")
    ] = False,
    codec_run: CodecRun = None,
    add: Annotated[
        str, typer.Option(help="Groups to add, separated by commas: pose, identity, distribution.")
    ] = "",
    verify: Annotated[
        bool, typer.Option("--verify", help="Score a random tenth of the clips again and compare.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the sample of --verify. [default: drawn and printed]")
    ] = None,
    all_metrics: AllMetrics = False,
    as_json: RunJson = False,
) -> int:
    """Score the kept frames of a run again."""
    progress = _Progress()
    if verify:
        return _verify(run, dataset, seed, progress, as_json)
    from benchmark.rescore.rescore import rescore

    rescored = rescore(
        run,
        dataset=dataset,
        metrics=_names(metrics),
        statistics=statistics,
        progress=progress,
        codec_run=codec_run,
        add=_names(add) or (),
    )
    _print_run(rescored, run, as_json, all_metrics)
    return console.EXIT_COMPLETE


@app.command("compare")
def compare_command(
    a: Annotated[Path, typer.Argument(help="Folder of the baseline run.")],
    b: Annotated[Path, typer.Argument(help="Folder of the run to judge.")],
    metrics: Annotated[
        str, typer.Option(help="Ids or families (tje), separated by commas; default: all.")
    ] = "",
    alpha: Annotated[float, typer.Option(help="Level of the adjusted p.")] = 0.05,
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help="Exit code 4 if B is worse in a metric.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Page to write, with the frames where the runs differ most.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Location of the dataset, for real frames of the page. [default: the run's]"),
    ] = None,
    as_json: Json = False,
) -> int:
    """Compare two runs on the same clips."""
    from benchmark.analysis.compare import ComparisonError, compare, comparison_table

    if out is None:
        found = compare(a, b, metrics=_names(metrics), alpha=alpha)
    else:
        from benchmark.report.comparison_page import write_comparison_page

        with _Progress() as progress:
            found = write_comparison_page(
                a, b, out, metrics=_names(metrics), alpha=alpha, dataset=dataset, progress=progress
            )
    if as_json:
        console.emit_json(found.model_dump(mode="json"))
    else:
        print(comparison_table(found))
        if out is not None:
            print(f"\n{out}")
    if fail_on_regression and not found.decidable:
        raise ComparisonError(f"--fail-on-regression: {found.notes[0]}")
    if fail_on_regression and found.regressions:
        console.note(f"{PROGRAM}: worse: {', '.join(found.regressions)}")
        return console.EXIT_REGRESSION
    return console.EXIT_COMPLETE


app.command("report")(report.report_command)
app.command("submit")(report.submit_command)


@app.command("validate", epilog="Exit codes: 0 no errors, 2 wrong input, 3 errors; they are listed.")
def validate_command(
    target: Annotated[
        str, typer.Argument(help="Folder of a run, a dataset or predictions; or a contestant.")
    ],
    kind: Annotated[
        str | None, typer.Option(help="run, dataset, predictions or contestant. [default: detected]")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset of the predictions or of the run.")] = None,
    prediction_map: PredictionMap = None,
    split: Split = None,
    protocol: ProtocolName = None,
    sample: Annotated[int | None, typer.Option(help="Clips of a dataset to decode. [default: all]")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Of a contestant.")] = None,
    model_args: Annotated[str, typer.Option(help="Of a contestant: key=value,key=value.")] = "",
    device: Annotated[str, typer.Option(help="Of a contestant: cpu, cuda or cuda:N.")] = "cpu",
    in_process: InProcess = False,
    as_json: Json = False,
) -> int:
    """Check a run, dataset, predictions or contestant."""
    from benchmark.validation import lines, validate

    found = validate(
        target,
        kind=kind,
        dataset=dataset,
        split=split,
        protocol=protocol or protocol_of(dataset or ""),
        sample=sample,
        checkpoint=checkpoint,
        model_args=_model_args(model_args),
        device=device,
        in_process=in_process or None,
        prediction_map=prediction_map,
    )
    if as_json:
        console.emit_json(found.model_dump(mode="json"))
    else:
        print("\n".join(lines(found)))
    return console.EXIT_COMPLETE if found.sound else console.EXIT_PARTIAL


@app.command("ls")
def list_command(
    what: Annotated[Literal["contestants", "metrics", "protocols"], typer.Argument(help="What to list.")],
    name: Annotated[
        str | None, typer.Argument(help="Show one of them in full: a name, a metric id or a family.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List contestants, metrics or protocols."""
    from benchmark.cli.listing import details, listing, one, table

    if as_json:
        console.emit_json(listing(what) if name is None else one(what, name))
        return
    for line in table(what) if name is None else details(what, name):
        print(line)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of run.json."""
    from benchmark.results import json_schema

    console.emit_json(json_schema())


def main() -> None:
    """Run the command line; `tp-eval --model X` is `tp-eval run --model X`."""
    args = sys.argv[1:]
    if args and args[0].startswith("-") and args[0] not in console.GLOBAL_OPTIONS:
        args = ["run", *args]
    console.run(app, PROGRAM, args)


class _Progress(ConsoleProgress):
    """Progress on stderr, with the name of the program before each line."""

    def message(self, text: str) -> None:
        super().message(f"{PROGRAM}: {text}")


def _rate(text: str | None) -> Fraction | None:
    """Return a frame rate; BadParameter where it is none."""
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 1000:
        raise typer.BadParameter(f"{text!r}: give a number of frames per second", param_hint="--fps")
    return rate


def _dry_run(settings: RunSettings, as_json: bool) -> int:
    """Print the clips that are to do."""
    from benchmark.runner.evaluate import dry_run

    with _stdout_for_results():
        cases = dry_run(settings, _Progress())
    rows = [
        {"clip_id": c.clip.clip_id, "width": c.width, "height": c.height, "num_frames": c.num_frames}
        for c in cases
    ]
    if as_json:
        console.emit_json(rows)
    for row in () if as_json else rows:
        print("{clip_id}  {width}x{height}  {num_frames} frames".format_map(row))
    return console.EXIT_COMPLETE


def _default_device(dataset: str, shard: str | None) -> str:
    """Return `cpu` on the bundled dataset, else `auto`; torchrun gives each process a GPU of its machine."""
    if dataset == TP_MINI:
        return "cpu"
    local = os.environ.get("LOCAL_RANK", "")
    if shard != "auto" or not local.isdecimal():
        return "auto"
    from talkingpose.pipeline.device import pick_device

    return f"cuda:{local}" if pick_device("auto") != "cpu" else "auto"


def _devices(
    devices: str | None, device: str | None, settings: RunSettings, workers: int
) -> list[WorkerDevice]:
    """Return the devices of the processes of a run."""
    from benchmark.errors import EvaluationError
    from benchmark.runner.devices import parse_devices, same_device

    if devices is None:
        return same_device(settings.device, workers, f"--workers {workers}")
    if device is not None or workers != 1:
        other = "--workers" if device is None else "--device"
        raise EvaluationError(f"--devices {devices}: not together with {other}: give one of them")
    return parse_devices(devices)


def _evaluate_seeds(
    settings: RunSettings, seeds: int, devices: list[WorkerDevice], as_json: bool, all_metrics: bool
) -> int:
    """Evaluate with several seeds, print each result, and return the exit code."""
    from benchmark.runner.seeds import evaluate_seeds

    with _stdout_for_results(), _Progress() as progress:
        runs = evaluate_seeds(settings, seeds, devices, progress)
    if as_json:
        console.emit_json([run.model_dump(mode="json", by_alias=True) for run in runs])
    else:
        for run in runs:
            print(f"seed {run.seed}")
            _print_run(run, settings.out / f"seed-{run.seed}", False, all_metrics)
        print(f"\ntp-eval compare {settings.out} OTHER compares means over seeds and splits the variance")
    return console.EXIT_COMPLETE if all(run.status == "complete" for run in runs) else console.EXIT_PARTIAL


def _evaluate(settings: RunSettings, devices: list[WorkerDevice], as_json: bool, all_metrics: bool) -> int:
    """Run or score, print the result, and return the exit code."""
    from benchmark.cli.run_table import left_out
    from benchmark.runner.workers import evaluate_in_workers

    with _stdout_for_results(), _Progress() as progress:
        run = evaluate_in_workers(settings, devices, progress)
    for line in left_out(run):
        console.note(f"{PROGRAM}: no score: {line}")
    _print_run(run, settings.out, as_json, all_metrics)
    for entry in run.audit:
        if entry.kind in ("lag", "swapped"):
            console.note(f"{PROGRAM}: {entry.clip_id}: {entry.message}")
    if run.status == "complete":
        return console.EXIT_COMPLETE
    failed, pending = (sum(entry.kind == kind for entry in run.audit) for kind in ("failed", "pending"))
    others = f", {pending} wait for other shards" if pending else ""
    console.note(
        f"{PROGRAM}: {run.status}: {failed} of {len(run.cases)} clips failed{others}, "
        f"see {settings.out}/run.json"
    )
    # A shard that finished its own part is complete.
    own_part = settings.shard is not None and pending and not failed
    return console.EXIT_COMPLETE if own_part else console.EXIT_PARTIAL


def _verify(run: Path, dataset: str | None, seed: int | None, progress: _Progress, as_json: bool) -> int:
    from benchmark.rescore.verify import lines, verify

    result = verify(run, dataset=dataset, seed=seed, progress=progress)
    if as_json:
        console.emit_json(result.model_dump(mode="json"))
    else:
        print("\n".join(lines(result)))
    return console.EXIT_COMPLETE if result.verified else console.EXIT_PARTIAL


def _print_run(run: Run, folder: Path, as_json: bool, all_metrics: bool) -> None:
    from benchmark.cli.run_table import closing, table
    from benchmark.report.run_page import named_primary

    if as_json:
        console.emit_json(run.model_dump(mode="json", by_alias=True))
        return
    print(table(run, () if all_metrics else named_primary(run)))
    print(f"\n{closing(run, folder)}")


def _frames(max_frames: int | None, smoke: bool) -> int | None:
    """Return the limit of frames; a smoke run has one."""
    return _SMOKE_FRAMES if smoke and max_frames is None else max_frames


@contextlib.contextmanager
def _stdout_for_results() -> Iterator[None]:
    """Redirect standard output to standard error: a contestant may print, and results stay one document."""
    stdout = sys.stdout
    sys.stdout = sys.stderr
    descriptor = os.dup(1)
    try:
        stdout.flush()
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout = stdout
        os.dup2(descriptor, 1)
        os.close(descriptor)


def _shard(text: str | None) -> tuple[int, int] | None:
    """Parse `2/4` or `auto` as (2, 4)."""
    from talkingpose.io.shard import parse_shard

    found = None if text is None else parse_shard(text)
    return None if found is None else (found.number, found.of)


def _names(text: str) -> list[str] | None:
    """Split `psnr,ssim` into a list; None if empty."""
    return [name.strip() for name in text.split(",") if name.strip()] or None


def _model_args(text: str) -> dict[str, str]:
    """Parse `key=value,key=value`."""
    settings: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.isidentifier() or key in settings:
            raise typer.BadParameter(f"--model-args {part!r}: give key=value,key=value, each key once")
        settings[key] = value
    return settings
