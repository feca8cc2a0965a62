"""Parsing of settings from `--model-args`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from talkingpose.data.contestant import ContestantError


def whole_number(name: str, text: str | int, *, least: int) -> int:
    """Parse an integer of at least `least`; raises ContestantError."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ContestantError(f"--model-args {name}={text}: give a whole number from {least}")
    return value


def number(name: str, text: str | float) -> float:
    """Parse a finite number; raises ContestantError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ContestantError(f"--model-args {name}={text}: give a number")
    return value


def choice(name: str, text: str, choices: Sequence[str]) -> str:
    """Return the text if it is one of the choices; raises ContestantError."""
    if text not in choices:
        raise ContestantError(f"--model-args {name}={text}: give {' or '.join(choices)}")
    return text


def no_checkpoint(name: str, checkpoint: str | None) -> None:
    """Raise ContestantError if a checkpoint is given."""
    if checkpoint is not None:
        raise ContestantError(f"--checkpoint {checkpoint}: {name} has no weights: leave it out")
