"""What goes wrong with weight files for reasons the user can mend."""

from __future__ import annotations


class WeightsError(ValueError):
    """A weight file that is missing, damaged or cannot be fetched; one line that says what to do."""


class UnreachableError(WeightsError):
    """No address of a weight file answers: this machine has no network, or none to there."""
