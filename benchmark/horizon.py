"""Usable horizon: for how long a per-frame score stays within bounds, over clips of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.results import Horizon

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lifetime:
    """Of one clip: the second from which on the score was out of bounds, or up to which it surely was not."""

    seconds: int
    crossed: bool


def lifetime(bins: Floats, threshold: float, lasting: int) -> Lifetime:
    """The first second after which the score stays beyond the threshold for `lasting` seconds.

    Args:
        bins: score of each second, float64 (seconds,), NaN where there is none (within bounds).
        threshold: below it where it is negative, above it where it is positive, is out of bounds.
        lasting: seconds that the score must stay out of bounds; near the end of the clip this cannot be seen.
    """
    with np.errstate(invalid="ignore"):
        beyond = bins <= threshold if threshold < 0 else bins >= threshold
    for second in range(len(bins) - lasting + 1):
        if beyond[second : second + lasting].all():
            return Lifetime(second, crossed=True)
    return Lifetime(max(0, len(bins) - lasting + 1), crossed=False)


def horizon(lifetimes: Sequence[Lifetime], threshold: float, lasting: int) -> Horizon:
    """Median and survival curve by Kaplan and Meier (1958); clips that did not cross are censored."""
    from scipy.stats import CensoredData, ecdf

    crossed = [float(life.seconds) for life in lifetimes if life.crossed]
    untouched = [float(life.seconds) for life in lifetimes if not life.crossed]
    survival = ecdf(CensoredData(uncensored=crossed, right=untouched)).sf
    below = [t for t, share in zip(survival.quantiles, survival.probabilities, strict=True) if share <= 0.5]
    return Horizon(
        threshold=threshold,
        lasting_s=lasting,
        n_clips=len(lifetimes),
        n_crossed=len(crossed),
        median_s=float(below[0]) if below else None,
        time_s=[float(time) for time in survival.quantiles],
        survival=[float(share) for share in survival.probabilities],
        reason=None if below else "more than half of the clips are still within bounds where they end",
    )
