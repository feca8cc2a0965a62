"""`tp-train`: from a configuration to a checkpoint that the pipeline reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from talkingpose.io import console

app = console.application(
    "Train the reference model, or its autoencoder, from one YAML file. Running it again goes on."
)


@app.command()
def train(
    config: Annotated[str, typer.Option(help="A YAML file, or a shipped one: tiny-vae, tiny, sd15.")],
    out: Annotated[Path | None, typer.Option(help="Output folder, instead of the file's.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all, instead of the file's.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over; what is in the folder is lost.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Check the configuration, train, write checkpoint, logs and sample sheets."""
    from talkingpose.training.config import load_config

    given: dict[str, Any] = {"out": str(out) if out else None, "steps": steps}
    checked = load_config(config, {key: value for key, value in given.items() if value is not None})

    from talkingpose.training.loop import train as run

    summary = run(checked, fresh=fresh)
    if as_json:
        console.emit_json(summary)
    else:
        print(Path(summary["out"]) / "checkpoint")


def main() -> None:
    """Entry point of `tp-train`."""
    console.run(app, "tp-train")


if __name__ == "__main__":
    main()
