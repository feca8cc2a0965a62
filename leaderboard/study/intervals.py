"""Intervals over raters and clips: votes of one rater, and votes on one clip, are not independent.

The variance is that of a bootstrap over raters, plus that of one over clips, minus that of one over votes
(Cameron, Gelbach and Miller 2011, *Robust Inference with Multiway Clustering*, JBES 29), and at least the
larger of the first two. The interval is Student's t with one degree of freedom less than the smaller number
of raters and clips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Statistic = Callable[[Floats], Floats]

# Weights of this many values are held at a time.
_HELD = 4_000_000


def two_way_intervals(
    statistic: Statistic,
    raters: Integers,
    clips: Integers,
    *,
    draws: int = 400,
    seed: int = 0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    level: float = 0.95,
) -> list[tuple[float, float] | None]:
    """Return an interval for each value of a statistic of votes.

    Args:
        statistic: weights of votes, float64 (draws, votes), to values, float64 (draws, values); NaN without a
            value.
        raters: int64 (votes,), rater of each vote.
        clips: int64 (votes,), clip of each vote.
        draws: number of draws of each bootstrap.
        seed: seed of the draws.
        bounds: range of the statistic.
        level: level of the intervals.

    Returns:
        (low, high) for each value; None with fewer than two raters or clips, or without a value.
    """
    from scipy.stats import t

    estimate = statistic(np.ones((1, len(raters))))[0]
    groups = min(len(np.unique(raters)), len(np.unique(clips)))
    if groups < 2:
        return [None] * len(estimate)
    generator = np.random.default_rng(seed)
    levels: Sequence[Integers] = (raters, clips, np.arange(len(raters)))
    by_rater, by_clip, by_vote = (_variance(statistic, level, draws, generator) for level in levels)
    variance = np.maximum(by_rater + by_clip - by_vote, np.maximum(by_rater, by_clip))
    half = t.ppf((1 + level) / 2, groups - 1) * np.sqrt(variance)
    found: list[tuple[float, float] | None] = []
    for value, width in zip(estimate, half, strict=True):
        known = np.isfinite(value) and np.isfinite(width)
        ends = (max(float(value - width), bounds[0]), min(float(value + width), bounds[1]))
        found.append(ends if known else None)
    return found


def _variance(statistic: Statistic, groups: Integers, draws: int, generator: np.random.Generator) -> Floats:
    """Variance of a statistic under resampling of groups, with the factor n / (n - 1)."""
    _, index = np.unique(groups, return_inverse=True)
    number = int(index.max()) + 1
    values = []
    left = draws
    while left > 0:
        part = min(left, max(1, _HELD // len(groups)))
        left -= part
        weights = generator.multinomial(number, np.full(number, 1 / number), size=part)
        values.append(statistic(weights[:, index].astype(np.float64)))
    drawn = np.concatenate(values)
    with np.errstate(invalid="ignore"):
        variance: Floats = np.nanvar(drawn, axis=0, ddof=1) * number / (number - 1)
    return variance
