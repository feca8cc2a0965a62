"""Errors of weight files."""

from __future__ import annotations

from talkingpose.io.errors import UserError


class WeightsError(UserError):
    """A weight file that is missing, damaged or cannot be fetched; one line that says what to do."""


class UnreachableError(WeightsError):
    """No address of a weight file answers: this machine has no network, or none to there."""
