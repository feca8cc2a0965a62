"""Pages of the documentation that are generated from the code when the site is built.

MkDocs calls `on_config` and `on_files`. Pages are generated in memory: nothing generated is committed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Command and the module that holds its typer application `app`.
COMMANDS = {
    "tp-curate": "curation.cli.app",
    "tp-eval": "benchmark.cli.app",
    "tp-animate": "talkingpose.animate.cli",
    "tp-train": "talkingpose.training.cli",
    "tp-leaderboard": "leaderboard.cli",
}


SECTIONS = {
    "tutorials": "Tutorials",
    "how-to": "How-to",
    "reference": "Reference",
    "explanation": "Explanation",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Order the pages as tutorials, how-to, reference and explanation."""
    nav: list[Any] = ["index.md"]
    for folder, title in SECTIONS.items():
        written = {
            path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs" / folder).glob("*.md")
        }
        pages: list[Any] = sorted(written | {page for page in PAGES if page.startswith(f"{folder}/")})
        for inner in sorted(path for path in (ROOT / "docs" / folder).iterdir() if path.is_dir()):
            inside = sorted(page.relative_to(ROOT / "docs").as_posix() for page in inner.glob("*.md"))
            pages.append({f"All {inner.name}": inside})
        nav.append({title: pages})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files


def command_lines() -> str:
    """Help of every command and sub-command."""
    parts = ["# Command lines\n"]
    for program, module in COMMANDS.items():
        parts.append(f"## {program}\n")
        parts += [f"{'#' * 3} {name}\n\n```text\n{text}\n```\n" for name, text in _helps(program, module)]
    return "\n".join(parts)


def _helps(program: str, module: str) -> Iterator[tuple[str, str]]:
    import typer.main

    group = typer.main.get_command(importlib.import_module(module).app)
    yield from _walk(group, program, None)


def _walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    context = command.context_class(command, info_name=name.rpartition(" ")[2], parent=parent)
    context.max_content_width = context.terminal_width = 100
    with context:
        yield name, command.get_help(context)
        for sub in getattr(command, "commands", {}).values():
            if not sub.hidden:
                yield from _walk(sub, f"{name} {sub.name}", context)


def configuration() -> str:
    """Defaults of the commands that take `--config`, as shipped."""
    parts = [
        "# Configuration\n",
        "A file given with `--config` names only what differs from these defaults.\n",
    ]
    for title, path in CONFIGURATIONS.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        parts.append(f"## {title}\n\n```yaml\n{text}```\n")
    return "\n".join(parts)


CONFIGURATIONS = {"tp-curate": "curation/default.yaml"}


def run_schema() -> str:
    """JSON Schema of run.json and of the documents of cases."""
    import json

    from benchmark.results import json_schema

    text = json.dumps(json_schema(), indent=2)
    return (
        "# Schema of a run\n\n`tp-eval schema` prints this document: the JSON Schema of `run.json` and of "
        f"`cases/CLIP.json`.\n\n```json\n{text}\n```\n"
    )


def download_failures() -> str:
    """Causes of download failures with their retry policies."""
    from curation.download.failures import POLICIES

    rows = [
        f"| `{cause}` | {policy.attempts} | {_waits(policy)} | {policy.advice} |"
        for cause, policy in POLICIES.items()
    ]
    head = ["# Causes of download failures\n", "| Cause | Attempts | Waits | Advice |", "|---|---:|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _waits(policy: Any) -> str:
    waits = [policy.wait(attempt) / 60 for attempt in range(1, policy.attempts)]
    return ", ".join(f"{wait:.0f} min" if wait < 120 else f"{wait / 60:.0f} h" for wait in waits) or "none"


PAGES: dict[str, Callable[[], str]] = {
    "reference/command-lines.md": command_lines,
    "reference/configuration.md": configuration,
    "reference/download-failures.md": download_failures,
    "reference/run-schema.md": run_schema,
}
