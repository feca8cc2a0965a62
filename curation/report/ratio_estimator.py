"""Ratio estimator: totals from a simple random sample, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class EstimatedTotal:
    """A total and its interval; the bounds are None where the sample has a single unit."""

    value: float
    low: float | None
    high: float | None


def ratio_total(
    measured: Sequence[float], sizes: Sequence[float], total_size: float, count: int, *, level: float = 0.95
) -> EstimatedTotal:
    """Estimate the total of a non-negative quantity from a simple random sample without replacement.

    The interval uses the linearised variance of the ratio, the finite population correction and Student's t
    with n - 1 degrees of freedom; its lower bound is at least 0. With few units, or rare large ones, the true
    coverage is below the level.

    Args:
        measured: quantity of each sampled unit.
        sizes: sizes of the same units.
        total_size: sum of the sizes of all units.
        count: number of all units.
        level: of the interval, in (0, 1).

    Raises:
        ValueError: no sample, or all its sizes are 0.

    Source: Cochran, Sampling Techniques (3rd ed.), sections 6.2 and 6.4.
    """
    if not 0 < len(measured) <= count or len(measured) != len(sizes) or sum(sizes) <= 0:
        raise ValueError("ratio_total: the sample is empty or has no size")
    ratio = sum(measured) / sum(sizes)
    value = ratio * total_size
    number = len(measured)
    if number == count:
        return EstimatedTotal(value, value, value)
    if number < 2:
        return EstimatedTotal(value, None, None)
    from scipy.stats import t

    spread = sum((y - ratio * x) ** 2 for y, x in zip(measured, sizes, strict=True)) / (number - 1)
    deviation = math.sqrt((1 - number / count) * spread / number) / fmean(sizes) * total_size
    reach = float(t.ppf((1 + level) / 2, number - 1)) * deviation
    return EstimatedTotal(value, max(value - reach, 0.0), value + reach)
