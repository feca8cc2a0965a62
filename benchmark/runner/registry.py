"""Contestants by name: entry points of the group `talkingpose.contestants`, or `package.module:Class`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from benchmark.errors import EvaluationError
from talkingpose.data.contestant import ENTRY_POINT_GROUP, Contestant, ContestantFactory, ContestantInfo
from talkingpose.io.errors import UserError


def contestant_names() -> dict[str, EntryPoint]:
    """Every registered contestant, by name, sorted."""
    return {entry.name: entry for entry in sorted(entry_points(group=ENTRY_POINT_GROUP))}


def make_contestant(name: str, *, checkpoint: str | None, device: str, args: Mapping[str, str]) -> Contestant:
    """Make a contestant.

    Args:
        name: of an entry point, or `package.module:Class`, found from the working directory too.
        checkpoint: as given to `--checkpoint`.
        device: `cpu` or `cuda`.
        args: its own settings, from `--model-args`.

    Raises:
        EvaluationError: no such contestant, a setting it does not have, or it cannot be made.
    """
    factory = _load(name)
    _check_settings(name, factory, args)
    try:
        contestant = factory(checkpoint=checkpoint, device=device, **args)
        info = contestant.info
    except UserError:
        raise
    except Exception as error:
        raise EvaluationError(f"--model {name}: cannot be made: {describe(error)}") from error
    if not isinstance(info, ContestantInfo) or not callable(getattr(contestant, "animate", None)):
        raise EvaluationError(
            f"--model {name}: no contestant: it needs `info` and `animate` (docs/how-to/add-a-contestant.md)"
        )
    return contestant


def describe(error: BaseException) -> str:
    """Class, message and place of an error of someone else's code, in one line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if message else ''}{message}{place}"


def _load(name: str) -> ContestantFactory:
    known = contestant_names()
    if name in known:
        target = known[name].value
    elif ":" in name:
        target = name
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
    else:
        raise EvaluationError(
            f"--model {name}: not known: choose one of {', '.join(known)}, or give package.module:Class"
        )
    module, _, attribute = target.partition(":")
    try:
        factory: ContestantFactory = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise EvaluationError(f"--model {name}: cannot be imported: {describe(error)}") from error
    if not callable(factory):
        raise EvaluationError(f"--model {name}: {attribute} is no class and no function: name one")
    return factory


def _check_settings(name: str, factory: ContestantFactory, args: Mapping[str, str]) -> None:
    parameters = inspect.signature(factory).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    lacking = [p for p in ("checkpoint", "device") if p not in parameters]
    if lacking:
        raise EvaluationError(
            f"--model {name}: takes no {lacking[0]!r}: a contestant is made with checkpoint=, device= and "
            "its own settings (docs/how-to/add-a-contestant.md)"
        )
    settings = [p for p in parameters if p not in ("checkpoint", "device")]
    unknown = [key for key in args if key not in settings]
    if unknown:
        has = ", ".join(settings) or "none"
        raise EvaluationError(f"--model-args {unknown[0]}: {name} has no such setting: it has {has}")
