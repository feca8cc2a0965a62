"""Errors of feedback controllers."""

from __future__ import annotations

import math

from talkingpose.io.errors import UserError


class FeedbackError(UserError):
    """An unknown controller, or a setting that is unknown or out of range."""


def check_range(name: str, value: float, least: float, below: float = math.inf) -> None:
    """Refuse a setting outside [least, below).

    Raises:
        FeedbackError: names the setting, its value and the range.
    """
    if not (math.isfinite(value) and least <= value < below):
        upper = f" and less than {below:g}" if math.isfinite(below) else ""
        raise FeedbackError(f"{name}: {value}: give a finite number, {least:g} or more{upper}")
