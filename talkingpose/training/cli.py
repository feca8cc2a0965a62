"""Command line of `tp-train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from talkingpose.io import console

PROGRAM = "tp-train"

app = console.application("Train the reference model or its autoencoder.")


@app.command()
def train(
    config: Annotated[
        str,
        typer.Option(help="YAML file of what differs from the defaults, or tiny-vae, tiny, sd15."),
    ],
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


def main() -> None:
    """Entry point of `tp-train`."""
    console.run(app, PROGRAM)
