"""`tp-eval`: the command line alone; every command is a call into the module that does the work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark import weights_cli
from benchmark.bundled import TP_MINI, protocol_of
from talkingpose import console

app = console.application("Score a model that animates a portrait, on clips of more than 100 frames.")
app.add_typer(weights_cli.app, name="weights")

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
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print run.json instead of the table.")] = False,
) -> int:
    """Generate and score. Exit code 0: complete; 3: some clips failed, and are listed; 2: wrong input."""
    from benchmark.evaluate import Listener, Settings, evaluate
    from benchmark.table import table

    out = out or Path("runs") / model.replace(":", "-")
    settings = Settings(
        model=model,
        dataset=dataset,
        out=out,
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
    )
    with console.progress_bar() as progress:
        frames = progress.add_task("frames", total=None, speed="")
        listener = Listener(
            say=lambda line: console.note(f"{PROGRAM}: {line}"),
            planned=lambda number: progress.update(frames, total=number),
            made=lambda number: progress.update(frames, advance=number),
        )
        run = evaluate(settings, listener)
    if as_json:
        console.emit_json(run.model_dump(mode="json", by_alias=True))
    else:
        print(table(run))
    if run.status != "complete":
        failed = [entry.clip_id for entry in run.audit if entry.kind == "failed"]
        console.note(
            f"{PROGRAM}: {run.status}: {len(failed)} of {len(run.cases)} clips failed, see {out}/run.json"
        )
        return console.EXIT_PARTIAL
    return console.EXIT_COMPLETE


@app.command("ls")
def list_command(
    what: Annotated[Literal["contestants", "metrics", "protocols"], typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List what there is: contestants, metrics or protocols."""
    from benchmark.listing import listing

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


def _model_args(text: str) -> dict[str, str]:
    """`key=value,key=value` as a mapping."""
    settings: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.isidentifier() or key in settings:
            raise typer.BadParameter(f"--model-args {part!r}: give key=value,key=value, each key once")
        settings[key] = value
    return settings
