"""Option `--config`: a YAML file with options that differ from `benchmark/default.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import typer

from benchmark.errors import EvaluationError
from talkingpose.io.documents import parse_yaml, read_yaml


def default_options() -> dict[str, Any]:
    """Return the documented defaults by option name, without the leading dashes."""
    text = (files("benchmark") / "default.yaml").read_text(encoding="utf-8")
    return dict(parse_yaml(text, "benchmark/default.yaml"))


def read_options(context: typer.Context, path: Path | None) -> Path | None:
    """Make the defaults file and the options of `path` the defaults of a command.

    Raises:
        EvaluationError: the file is not a mapping, or names an unknown option.
        DocumentError: the file cannot be read.
    """
    names = {
        name.removeprefix("--"): str(parameter.name)
        for parameter in context.command.params
        for name in parameter.opts
        if name.startswith("--")
    }
    known = default_options()
    given = {} if path is None else _options(path, known)
    merged = {name: value for name, value in {**known, **given}.items() if name in names}
    defaults = {names[name]: _plain(path, name, value) for name, value in merged.items() if value is not None}
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def _options(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    document = read_yaml(path, "--config")
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise EvaluationError(f"--config {path}: not a mapping: write lines such as max-frames: 120")
    options = {name.replace("_", "-"): value for name, value in document.items()}
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise EvaluationError(f"--config {path}: {unknown!r}: no such option: see benchmark/default.yaml")
    return options


def _plain(path: Path | None, name: str, value: Any) -> Any:
    """Return a value as the command line gives it."""
    if name == "model-args" and isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in value.items())
    if not isinstance(value, str | int | float):
        raise EvaluationError(f"--config {path}: {name}: give one plain value")
    return value
