"""Totals of many sources from a sample of them, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class Predicted:
    """A total and its interval; the bounds are None where the sample says nothing about its own spread."""

    value: float
    low: float | None
    high: float | None


def ratio_total(
    measured: Sequence[float], sizes: Sequence[float], total_size: float, count: int, *, level: float = 0.95
) -> Predicted:
    """The total of a quantity over all units, from a simple random sample without replacement.

    Ratio estimator with its linearised variance, finite population correction, and Student's t with n - 1
    degrees of freedom. A quantity cannot be negative, so neither can the lower bound. With few units or rare
    large ones the true coverage is below the level.

    Args:
        measured: of each sampled unit.
        sizes: of the same units, in the measure of which `total_size` is the total of all units.
        total_size: of all `count` units.
        level: of the interval.

    Raises:
        ValueError: no sample, or all its sizes are 0.

    Source: Cochran, Sampling Techniques (3rd ed.), sections 6.2 and 6.4.
    """
    if not 0 < len(measured) <= count or len(measured) != len(sizes) or sum(sizes) <= 0:
        raise ValueError("ratio_total: give a sample with sizes")
    ratio = sum(measured) / sum(sizes)
    value = ratio * total_size
    number = len(measured)
    if number == count:
        return Predicted(value, value, value)
    if number < 2:
        return Predicted(value, None, None)
    from scipy.stats import t

    spread = sum((y - ratio * x) ** 2 for y, x in zip(measured, sizes, strict=True)) / (number - 1)
    deviation = math.sqrt((1 - number / count) * spread / number) / fmean(sizes) * total_size
    reach = float(t.ppf((1 + level) / 2, number - 1)) * deviation
    return Predicted(value, max(value - reach, 0.0), value + reach)
