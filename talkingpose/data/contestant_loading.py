"""Contestants by name: an entry point of the group `talkingpose.contestants`, or `package.module:Class`."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from talkingpose.data.contestant import (
    ENTRY_POINT_GROUP,
    FRAMES_SEEN,
    Contestant,
    ContestantError,
    ContestantFactory,
    ContestantInfo,
    ContestantWeights,
)
from talkingpose.io.errors import UserError

_MAX_TEXT = 500
_TEXTS = ("name", "revision", "licence")
_COUNTS = {"parameters": 0, "window": 1, "carry": 0, "batch_size": 1}
_CHOICES = ("driving_frames", "backbone", "memory")
# None for unknown.
_UNKNOWN = ("window", "carry", "streams")
_FLAGS = ("needs_gpu", "needs_driving_frames", "control", "streams")


def contestant_names() -> dict[str, EntryPoint]:
    """Return the registered contestants by name, sorted."""
    return {entry.name: entry for entry in sorted(entry_points(group=ENTRY_POINT_GROUP))}


def make_contestant(
    name: str, *, checkpoint: str | None, device: str, args: Mapping[str, str]
) -> tuple[Contestant, ContestantInfo]:
    """Import and create a contestant, and read its info, once.

    Args:
        name: an entry point, or `package.module:Class`. The current directory is searched after all installed
            packages.
        checkpoint: value of `--checkpoint`.
        device: `cpu`, `cuda` or `cuda:N`.
        args: the contestant's own settings, from `--model-args`.

    Returns:
        The contestant, and a plain copy of its info: later changes of `info` have no effect.

    Raises:
        ContestantError: there is no such contestant, it has no such setting, or its code fails.
    """
    return create_contestant(name, _load(name), checkpoint=checkpoint, device=device, args=args)


def create_contestant(
    name: str,
    factory: Callable[..., Contestant],
    *,
    checkpoint: str | None,
    device: str,
    args: Mapping[str, str],
) -> tuple[Contestant, ContestantInfo]:
    """Create a contestant from its class; see `make_contestant`."""
    _check_settings(name, factory, args)
    try:
        contestant = factory(checkpoint=checkpoint, device=device, **args)
        return contestant, checked_info(contestant)
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # includes SystemExit, which would end the command with its exit code
        raise ContestantError(f"--model {name}: construction failed: {describe(error)}") from error


def checked_info(contestant: Contestant) -> ContestantInfo:
    """Return a plain copy of the info of an object that has `info` and `animate`.

    Raises:
        ContestantError: it has not, or the info has an invalid value.
    """
    if not callable(getattr(contestant, "animate", None)):
        raise ContestantError(f"{type(contestant).__name__}: not a contestant: define `info` and `animate`")
    return info_from(info_document(getattr(contestant, "info", None)))


def describe(error: BaseException) -> str:
    """Return class, message and position of an exception in one line of printable text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    message = one_line(str(error))
    return one_line(type(error).__name__) + (f": {message}" if message else "") + place


def one_line(text: str) -> str:
    """Return the text on one line, printable, at most 500 characters."""
    plain = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return plain if len(plain) <= _MAX_TEXT else f"{plain[:_MAX_TEXT]}..."


def info_document(info: object) -> dict[str, Any]:
    """Return a contestant's info as JSON values. Reads each attribute once.

    Raises:
        ContestantError: it is not a `ContestantInfo`, or an attribute has an invalid value.
    """
    if not isinstance(info, ContestantInfo):
        raise ContestantError("not a contestant: `info` is not a ContestantInfo")
    try:
        document = {name: getattr(info, name) for name in (*_TEXTS, *_COUNTS, *_FLAGS, *_CHOICES)}
        document["args"] = dict(info.args)
        document["weights"] = [[weight.name, weight.sha256] for weight in info.weights]
        # A round trip turns subclasses of str, int and float into plain values.
        text = json.dumps(document, allow_nan=False)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ContestantError(f"info: not plain JSON values: {one_line(str(error))}") from error
    plain: dict[str, Any] = json.loads(text)
    info_from(plain)
    return plain


def info_from(document: Mapping[str, Any]) -> ContestantInfo:
    """Return the info that a document of `info_document` holds.

    Raises:
        ContestantError: a value is missing or invalid.
    """
    given = dict(document)
    for name in _TEXTS:
        value = given.get(name)
        if not _is_printable_text(value):
            raise ContestantError(f"info.{name}: {value!r:.100}: give a printable text")
    for name, least in _COUNTS.items():
        value = given.get(name)
        if name in _UNKNOWN and value is None:
            continue
        if type(value) is not int or not least <= value < 10**18:
            raise ContestantError(f"info.{name}: {value!r:.100}: give a whole number from {least}")
    for name in _FLAGS:
        if name in _UNKNOWN and given.get(name) is None:
            continue
        if type(given.get(name)) is not bool:
            raise ContestantError(f"info.{name}: {given.get(name)!r:.100}: give True or False")
    _check_choices(given)
    args, weights = given.get("args"), given.get("weights")
    if not isinstance(args, dict) or not all(
        isinstance(key, str) and isinstance(value, str | int | float | None) for key, value in args.items()
    ):
        raise ContestantError("info.args: give a mapping of names to JSON scalars")
    if not isinstance(weights, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        for pair in weights
    ):
        raise ContestantError("info.weights: give ContestantWeights")
    files = tuple(ContestantWeights(name, sha256) for name, sha256 in weights)
    plain: dict[str, Any] = {name: given.get(name) for name in (*_TEXTS, *_COUNTS, *_FLAGS, *_CHOICES)}
    return ContestantInfo(**plain, args=args, weights=files)


def _check_choices(given: Mapping[str, Any]) -> None:
    seen, backbone, memory = (given.get(name) for name in _CHOICES)
    if not isinstance(seen, str) or seen not in FRAMES_SEEN:
        raise ContestantError(f"info.driving_frames: {seen!r:.100}: give {', '.join(FRAMES_SEEN)}")
    if backbone is not None and not _is_printable_text(backbone):
        raise ContestantError(f"info.backbone: {backbone!r:.100}: give a printable text or None")
    if memory not in ("constant", "grows", None):
        raise ContestantError(f"info.memory: {memory!r:.100}: give constant, grows or None")


def _is_printable_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable() and len(value) <= 200


def _load(name: str) -> ContestantFactory:
    known = contestant_names()
    if name in known:
        target = known[name].value
    elif ":" in name:
        target = name
        # Last, so that a local folder named like an installed package does not replace it.
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
    else:
        raise ContestantError(
            f"--model {name}: unknown: choose one of {', '.join(known)}, or give package.module:Class"
        )
    module, _, attribute = target.partition(":")
    try:
        factory: ContestantFactory = getattr(importlib.import_module(module), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ContestantError(f"--model {name}: import failed: {describe(error)}") from error
    if not callable(factory):
        raise ContestantError(f"--model {name}: {attribute} is not callable: give a class or a function")
    return factory


def _check_settings(name: str, factory: ContestantFactory, args: Mapping[str, str]) -> None:
    parameters = inspect.signature(factory).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    missing = [p for p in ("checkpoint", "device") if p not in parameters]
    if missing:
        raise ContestantError(
            f"--model {name}: has no parameter {missing[0]!r}: accept checkpoint=, device= and the settings "
            "(docs/how-to/add-a-contestant.md)"
        )
    settings = [p for p in parameters if p not in ("checkpoint", "device")]
    unknown = [key for key in args if key not in settings]
    if unknown:
        raise ContestantError(
            f"--model-args {unknown[0]}: {name} has no such setting: it has {', '.join(settings) or 'none'}"
        )
