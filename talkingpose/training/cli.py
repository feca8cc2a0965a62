"""Command line of `tp-train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from talkingpose.io import console
from talkingpose.training.errors import TrainingError

PROGRAM = "tp-train"

app = console.application("Train the reference model or its autoencoder.")


@app.callback(invoke_without_command=True)
def train(
    context: typer.Context,
    config: Annotated[
        str | None,
        typer.Option(
            help="YAML file of what differs from the defaults, or a shipped one: tiny-vae, tiny, "
            "tiny-decoder, tiny-perceptual, sd15."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; overrides the file.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Total steps; overrides the file.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over and delete the training in the output folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Train the reference model or its autoencoder.

    Writes a checkpoint, logs and sample sheets. Running the same command again resumes.
    """
    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise TrainingError("--config is missing: give a YAML file or a shipped configuration, such as tiny")
    from talkingpose.io.progress import ConsoleProgress
    from talkingpose.training.config import load_config

    overrides: dict[str, Any] = {"out": str(out) if out else None, "steps": steps}
    checked = load_config(config, {key: value for key, value in overrides.items() if value is not None})

    from talkingpose.training.loop import train as run

    with ConsoleProgress() as progress:
        summary = run(checked, fresh=fresh, progress=progress)
    if as_json:
        console.emit_json(summary)
    else:
        print(Path(summary["out"]) / "checkpoint")


@app.command()
def finetune(
    dataset: Annotated[str, typer.Option(help="Folder that tp-curate wrote, or owner/name on the Hub.")],
    out: Annotated[Path, typer.Option(help="Output folder; the same command resumes it.")],
    checkpoint: Annotated[
        str, typer.Option(help="Weights to start from: hub, tiny, or a folder in either layout.")
    ] = "hub",
    config: Annotated[
        str, typer.Option(help="finetune, or a YAML file of what differs from it.")
    ] = "finetune",
    steps: Annotated[int | None, typer.Option(min=1, help="Total steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples per micro-batch.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate of AdamW.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the pictures. [default: native]")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over and delete the training in the output folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Train a checkpoint further on a dataset."""
    from talkingpose.io.progress import ConsoleProgress
    from talkingpose.training.finetune import finetune as run

    overrides = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate, "size": size}
    with ConsoleProgress() as progress:
        summary = run(
            checkpoint,
            dataset,
            out,
            config=config,
            overrides=overrides,
            fresh=fresh,
            progress=progress,
        )
    if as_json:
        console.emit_json(summary)
    else:
        print(out / "checkpoint")


def main() -> None:
    """Entry point of `tp-train`."""
    console.run(app, PROGRAM)
