"""Settings of a contestant as they come from `--model-args`: text that must be a number."""

from __future__ import annotations

import math

from talkingpose.data.contestant import ContestantError


def whole_number(name: str, text: str | int, *, least: int) -> int:
    """The value of a setting as an int from `least` on; ContestantError where it is none."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ContestantError(f"--model-args {name}={text}: give a whole number from {least} on")
    return value


def number(name: str, text: str | float) -> float:
    """The value of a setting as a finite float; ContestantError where it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ContestantError(f"--model-args {name}={text}: give a number")
    return value


def no_checkpoint(name: str, checkpoint: str | None) -> None:
    """Refuse a checkpoint given to a contestant that has no weights."""
    if checkpoint is not None:
        raise ContestantError(f"--checkpoint {checkpoint}: {name} has no weights: leave it out")
