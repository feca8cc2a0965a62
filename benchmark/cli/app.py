"""`tp-eval`: the command line alone; every command is a call into the module that does the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchmark.cli import weights
from benchmark.cli.options_file import read_options
from benchmark.data.bundled import TP_MINI, protocol_of
from talkingpose.io import console

if TYPE_CHECKING:
    from benchmark.runner.evaluate import RunSettings

Config = Annotated[
    Path | None,
    typer.Option(
        help="YAML file with any of these options, such as max-frames: 120; the command line goes first.",
        callback=read_options,
        is_eager=True,
    ),
]
Workers = Annotated[int, typer.Option(help="Processes that share the work; each loads the model.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the clips that are to do; write nothing.")]

app = console.application("Score a model that animates a portrait, on clips of more than 100 frames.")
app.add_typer(weights.app, name="weights")

PROGRAM = "tp-eval"


@app.command("run")
def run_command(
    model: Annotated[str, typer.Option(help="Contestant (tp-eval ls contestants) or package.module:Class.")],
    dataset: Annotated[
        str,
        typer.Option(help="tp-mini (bundled), a folder that tp-curate wrote, or owner/name[@revision]."),
    ] = TP_MINI,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; the same command resumes it. [default: runs/MODEL]"),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Folder of weights, where the model has any; or tiny (bundled).")
    ] = None,
    model_args: Annotated[str, typer.Option(help="Settings of the model: key=value,key=value.")] = "",
    split: Annotated[
        str | None, typer.Option(help="Default: test where it has usable clips, else all splits.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="See tp-eval ls protocols. [default: tp-mini@1 on tp-mini, else tp-long@1]"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N clips; not comparable.")] = None,
    max_frames: Annotated[
        int | None, typer.Option(help="Only the first N frames of a clip; not comparable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N. [default: cpu on tp-mini, else auto]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Clips generated together; default: the model's own.")
    ] = None,
    workers: Workers = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")] = False,
    shard: Annotated[
        str | None, typer.Option(help="Which part of how many, such as 2/4; all parts share one --out.")
    ] = None,
    keep_frames: Annotated[
        bool, typer.Option("--keep-frames", help="Keep the frames without loss, for tp-eval rescore.")
    ] = False,
    codec_run: Annotated[
        Path | None,
        typer.Option(help="Run of the control reencode on the same clips: drift is measured against it."),
    ] = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print run.json instead of the table.")] = False,
) -> int:
    """Generate and score. Exit code 0: complete; 3: some clips failed, and are listed; 2: wrong input."""
    from benchmark.runner.evaluate import RunSettings

    settings = RunSettings(
        model=model,
        dataset=dataset,
        out=out or Path("runs") / model.replace(":", "-"),
        checkpoint=checkpoint,
        model_args=_model_args(model_args),
        split=split,
        protocol=protocol or protocol_of(dataset),
        limit=limit,
        max_frames=max_frames,
        seed=seed,
        device=device or ("cpu" if dataset == TP_MINI else "auto"),
        batch_size=batch_size,
        fresh=fresh,
        shard=_shard(shard),
        keep_frames=keep_frames,
        codec_run=codec_run,
    )
    return _dry_run(settings, as_json) if dry_run else _evaluate(settings, workers, as_json)


@app.command("score")
def score_command(
    predictions: Annotated[Path, typer.Option(help="Folder with CLIP.mp4, or CLIP/ of PNG frames.")],
    name: Annotated[str, typer.Option(help="Of the model that made the videos, as the board shows it.")],
    dataset: Annotated[str, typer.Option(help="As for tp-eval run.")] = TP_MINI,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; the same command resumes it. [default: runs/NAME]")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of the model; default: a hash of the videos.")] = None,
    split: Annotated[str | None, typer.Option(help="As for tp-eval run.")] = None,
    protocol: Annotated[str | None, typer.Option(help="As for tp-eval run.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N clips; not comparable.")] = None,
    max_frames: Annotated[
        int | None, typer.Option(help="Only the first N frames of a clip; not comparable.")
    ] = None,
    workers: Workers = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")] = False,
    codec_run: Annotated[
        Path | None,
        typer.Option(help="Run of the control reencode on the same clips: drift is measured against it."),
    ] = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print run.json instead of the table.")] = False,
) -> int:
    """Score finished videos, matched by clip id. Exit code 0: complete; 3: some are missing or refused."""
    from benchmark.runner.evaluate import RunSettings

    settings = RunSettings(
        model=name,
        dataset=dataset,
        out=out or Path("runs") / name.replace("/", "-"),
        split=split,
        protocol=protocol or protocol_of(dataset),
        limit=limit,
        max_frames=max_frames,
        device="cpu",
        fresh=fresh,
        codec_run=codec_run,
        predictions=predictions,
        revision=revision,
    )
    return _dry_run(settings, as_json) if dry_run else _evaluate(settings, workers, as_json)


@app.command("rescore")
def rescore_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run that was made with --keep-frames.")],
    dataset: Annotated[
        str | None, typer.Option(help="The dataset of the run, where it lies elsewhere now.")
    ] = None,
    metrics: Annotated[str, typer.Option(help="Ids, separated by commas; default: all.")] = "",
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Fold the stored scores again; needs no frames.")
    ] = False,
    codec_run: Annotated[Path | None, typer.Option(help="As for tp-eval run.")] = None,
    add: Annotated[
        str, typer.Option(help="Groups to take on, separated by commas: pose, identity, distribution.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print run.json instead of the table.")] = False,
) -> None:
    """Score a run anew from the frames it kept, without generating again."""
    from benchmark.cli.run_table import table
    from benchmark.runner.rescore import rescore

    found = rescore(
        run,
        dataset=dataset,
        metrics=_names(metrics),
        statistics=statistics,
        say=lambda line: console.note(f"{PROGRAM}: {line}"),
        codec_run=codec_run,
        add=_names(add) or (),
    )
    if as_json:
        console.emit_json(found.model_dump(mode="json", by_alias=True))
    else:
        print(table(found))


@app.command("compare")
def compare_command(
    a: Annotated[Path, typer.Argument(help="Folder of the run to compare with.")],
    b: Annotated[Path, typer.Argument(help="Folder of the run to judge.")],
    metrics: Annotated[
        str, typer.Option(help="Ids or families (tje), separated by commas; default: all.")
    ] = "",
    alpha: Annotated[float, typer.Option(help="Level of the adjusted p.")] = 0.05,
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help="Exit code 4 if B is worse in a metric.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Compare two runs on the same clips."""
    from benchmark.analysis.compare import ComparisonError, compare, comparison_table

    found = compare(a, b, metrics=_names(metrics), alpha=alpha)
    if as_json:
        console.emit_json(found.model_dump(mode="json"))
    else:
        print(comparison_table(found))
    if fail_on_regression and not found.decidable:
        raise ComparisonError(f"--fail-on-regression: {found.notes[0]}")
    if fail_on_regression and found.regressions:
        console.note(f"{PROGRAM}: worse: {', '.join(found.regressions)}")
        return console.EXIT_REGRESSION
    return console.EXIT_COMPLETE


@app.command("validate")
def validate_command(
    target: Annotated[
        str, typer.Argument(help="Folder of a run, a dataset or predictions; or a contestant.")
    ],
    kind: Annotated[
        str | None, typer.Option(help="run, dataset, predictions or contestant; default: find out.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="That predictions are for, or that a run was made on.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="As for tp-eval run.")] = None,
    protocol: Annotated[str | None, typer.Option(help="As for tp-eval run.")] = None,
    sample: Annotated[int | None, typer.Option(help="Decode only so many clips of a dataset.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Of a contestant.")] = None,
    device: Annotated[str, typer.Option(help="Of a contestant: cpu, cuda or cuda:N.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Check something before hours are spent on it. Exit code 0: sound; 3: errors, which are listed."""
    from benchmark.validation import lines, validate

    found = validate(
        target,
        kind=kind,
        dataset=dataset,
        split=split,
        protocol=protocol or protocol_of(dataset or ""),
        sample=sample,
        checkpoint=checkpoint,
        device=device,
    )
    if as_json:
        console.emit_json(found.model_dump(mode="json"))
    else:
        print("\n".join(lines(found)))
    return console.EXIT_COMPLETE if found.sound else console.EXIT_PARTIAL


@app.command("ls")
def list_command(
    what: Annotated[Literal["contestants", "metrics", "protocols"], typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List what there is: contestants, metrics or protocols."""
    from benchmark.cli.listing import listing

    rows = listing(what)
    if as_json:
        console.emit_json(rows)
    else:
        for row in rows:
            print("  ".join(str(value) for value in row.values()))


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of run.json."""
    from benchmark.results import json_schema

    console.emit_json(json_schema())


def main() -> None:
    """Entry point; `tp-eval --model X` is `tp-eval run --model X`."""
    args = sys.argv[1:]
    if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
        args = ["run", *args]
    console.run(app, PROGRAM, args)


def _dry_run(settings: RunSettings, as_json: bool) -> int:
    """Print what is to do."""
    from benchmark.runner.evaluate import Progress, dry_run

    cases = dry_run(settings, Progress(say=lambda line: console.note(f"{PROGRAM}: {line}")))
    rows = [
        {"clip_id": c.clip.clip_id, "width": c.width, "height": c.height, "num_frames": c.num_frames}
        for c in cases
    ]
    if as_json:
        console.emit_json(rows)
    for row in () if as_json else rows:
        print("{clip_id}  {width}x{height}  {num_frames} frames".format_map(row))
    return console.EXIT_COMPLETE


def _evaluate(settings: RunSettings, workers: int, as_json: bool) -> int:
    """Run or score, print the result, and return the exit code."""
    from benchmark.cli.run_table import table
    from benchmark.runner.evaluate import Progress
    from benchmark.runner.workers import evaluate_in_workers

    with console.progress_bar() as progress:
        frames = progress.add_task("frames", total=None, speed="")
        listener = Progress(
            say=lambda line: console.note(f"{PROGRAM}: {line}"),
            planned=lambda number: progress.update(frames, total=number),
            made=lambda number: progress.update(frames, advance=number),
        )
        run = evaluate_in_workers(settings, workers, listener)
    if as_json:
        console.emit_json(run.model_dump(mode="json", by_alias=True))
    else:
        print(table(run))
    for entry in run.audit:
        if entry.kind == "lag":
            console.note(f"{PROGRAM}: {entry.clip_id}: {entry.message}")
    if run.status == "complete":
        return console.EXIT_COMPLETE
    failed, pending = (sum(entry.kind == kind for entry in run.audit) for kind in ("failed", "pending"))
    waiting = f", {pending} wait for other shards" if pending else ""
    console.note(
        f"{PROGRAM}: {run.status}: {failed} of {len(run.cases)} clips failed{waiting}, "
        f"see {settings.out}/run.json"
    )
    # A shard that did all of its own part has done what it was asked for.
    return console.EXIT_PARTIAL if failed else console.EXIT_COMPLETE


def _shard(text: str | None) -> tuple[int, int] | None:
    """`2/4` as (2, 4)."""
    if text is None:
        return None
    which, slash, number = text.partition("/")
    if not (slash and which.isdecimal() and number.isdecimal() and len(text) < 12):
        raise typer.BadParameter(f"--shard {text!r}: give which of how many, such as 2/4")
    return int(which), int(number)


def _names(text: str) -> list[str] | None:
    """`psnr,ssim` as a list, nothing as None."""
    return [name.strip() for name in text.split(",") if name.strip()] or None


def _model_args(text: str) -> dict[str, str]:
    """`key=value,key=value` as a mapping."""
    settings: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.isidentifier() or key in settings:
            raise typer.BadParameter(f"--model-args {part!r}: give key=value,key=value, each key once")
        settings[key] = value
    return settings
