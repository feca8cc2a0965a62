"""What a filter measures of every sample, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from curation.detect.measurements import FrameSample, Shot
from curation.records import FilterResult

# Up to this share of the samples a detector errs; what is seen no more often is not there.
STRAY_SHARE = 0.1


class FilterSettings(BaseModel):
    """What a filter is told by the configuration; a name that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleSettings(FilterSettings):
    """Of a filter whose threshold `min_share` of the samples have to reach, 0 to 1."""

    min_share: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Levels:
    """One value per sample beside a threshold that a share of them has to reach.

    Attributes:
        values: float64 (N,); NaN where nothing could be measured: that does not reach.
        threshold, at_least: reached from it on, or up to it where `at_least` is False; in `unit`.
        min_share: of the samples, from 0 to 1.
        reason: what a person would say of a shot that fails.
        never: the same where next to no sample reaches it.
        yes_or_no: values are 1 and 0; then the share itself is what was measured.
    """

    values: npt.NDArray[np.float64]
    threshold: float
    at_least: bool
    min_share: float
    unit: str
    reason: str
    never: str | None = None
    yes_or_no: bool = False

    @property
    def reached(self) -> npt.NDArray[np.bool_]:
        """Which samples reach the threshold."""
        with np.errstate(invalid="ignore"):
            return self.values >= self.threshold if self.at_least else self.values <= self.threshold


def measured_of(sample_value: Callable[[FrameSample], float | None], shot: Shot) -> npt.NDArray[np.float64]:
    """A value of every sample, NaN for None."""
    values = (sample_value(sample) for sample in shot.samples)
    return np.array([math.nan if value is None else value for value in values], np.float64)


def yes_or_no(
    holds: Callable[[FrameSample], bool], shot: Shot, min_share: float, reason: str, never: str
) -> Levels:
    """Levels of something that a sample has or has not."""
    values = measured_of(lambda sample: float(holds(sample)), shot)
    return Levels(values, 1.0, True, min_share, "share of samples", reason, never, True)


def enough(count: int, total: int, min_share: float) -> bool:
    """Whether so many of so many samples are the share asked for."""
    return total > 0 and count >= min_share * total - 1e-9


def answer(name: str, levels: Levels) -> FilterResult:
    """Compare levels with their threshold.

    What was measured is the value that `min_share` of the samples reach, so that a shot passes exactly when
    it reaches the threshold.
    """
    total, reached = len(levels.values), int(levels.reached.sum())
    share = reached / total if total else 0.0
    passed = enough(reached, total, levels.min_share)
    measured = share if levels.yes_or_no else _reached_by_share(levels)
    reason = levels.never if levels.never and share <= STRAY_SHARE else levels.reason
    return FilterResult(
        filter=name,
        step="scan",
        passed=passed,
        measured=None if measured is None else round(measured, 6),
        threshold=levels.min_share if levels.yes_or_no else levels.threshold,
        at_least=levels.at_least,
        unit=levels.unit,
        reason=None if passed else reason,
        share=round(share, 6),
        min_share=levels.min_share,
    )


def _reached_by_share(levels: Levels) -> float | None:
    values = levels.values if levels.at_least else -levels.values
    if not len(values):
        return None
    best_first: Sequence[float] = np.sort(np.where(np.isnan(values), -np.inf, values))[::-1].tolist()
    # At least one sample: a share of 0 asks for nothing, and tells the best.
    place = max(math.ceil(levels.min_share * len(values) - 1e-9), 1) - 1
    value = best_first[place]
    if math.isinf(value):
        return None
    return value if levels.at_least else -value
