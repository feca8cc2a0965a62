"""`--config`: a YAML file that holds options of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from benchmark.errors import EvaluationError


def read_options(context: typer.Context, path: Path | None) -> Path | None:
    """Make the options of a file the defaults of a command: what the command line gives goes first.

    Names are those of the options, without the dashes in front; `model-args` may be a mapping.

    Raises:
        EvaluationError: the file cannot be read, or names what is no option of the command.
    """
    if path is None:
        return None
    options = {
        name.removeprefix("--"): str(parameter.name)
        for parameter in context.command.params
        for name in parameter.opts
        if name.startswith("--") and name not in ("--config", "--help")
    }
    found: dict[str, Any] = {}
    for name, value in _mapping(path).items():
        if name not in options:
            raise EvaluationError(f"--config {path}: {name!r}: no such option: {', '.join(sorted(options))}")
        found[options[name]] = _plain(path, name, value)
    context.default_map = {**(context.default_map or {}), **found}
    return path


def _mapping(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(f"--config {path}: {error.strerror}: check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise EvaluationError(f"--config {path}: no YAML: write lines such as max-frames: 120") from error
    if not isinstance(read, dict) or not all(isinstance(name, str) for name in read):
        raise EvaluationError(f"--config {path}: no mapping: write lines such as max-frames: 120")
    return read


def _plain(path: Path, name: str, value: Any) -> Any:
    """A value as the command line would give it."""
    if name == "model-args" and isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in value.items())
    if not isinstance(value, str | int | float):
        raise EvaluationError(f"--config {path}: {name}: give one plain value")
    return value
