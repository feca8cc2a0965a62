"""What a filter answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from curation.measurement import Sample, Shot

# Up to this share of the samples a detector errs; what is seen no more often is not there.
STRAY_SHARE = 0.1


@dataclass(frozen=True)
class Finding:
    """One measurement beside its threshold.

    Attributes:
        filter: its name in the configuration.
        passed: whether the shot may stay.
        measured, threshold: in `unit`.
        reason: what a person would say of a shot that fails; None for one that passes.
    """

    filter: str
    passed: bool
    measured: float
    threshold: float
    unit: str
    reason: str | None


def at_least(name: str, measured: float, threshold: float, *, unit: str, reason: str) -> Finding:
    """A finding that passes from the threshold on."""
    passed = measured >= threshold
    return Finding(name, passed, round(measured, 6), threshold, unit, None if passed else reason)


def share(shot: Shot, holds: Callable[[Sample], bool]) -> float:
    """In which share of the samples something holds, 0 to 1; 0 for a shot without samples."""
    return sum(map(holds, shot.samples)) / len(shot.samples) if shot.samples else 0.0
