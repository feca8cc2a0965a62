"""Agreement of raters with each other, and of metrics with raters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def krippendorff_alpha(units: Sequence[Sequence[float]], *, nominal: bool = False) -> float | None:
    """Return Krippendorff's alpha of ratings.

    Source: Krippendorff 2011, *Computing Krippendorff's Alpha-Reliability*.

    Args:
        units: ratings of each unit; units with fewer than two ratings are left out.
        nominal: whether values are names; by default differences of values count squared (interval data).

    Returns:
        1 for full agreement, 0 for agreement as by chance; None without variation or without two ratings of
        a unit.
    """
    rated = [np.asarray(unit, np.float64) for unit in units if len(unit) > 1]
    if not rated:
        return None
    values, index = np.unique(np.concatenate(rated), return_inverse=True)
    coincidences = np.zeros((len(values), len(values)))
    start = 0
    for unit in rated:
        counts = np.bincount(index[start : start + len(unit)], minlength=len(values)).astype(np.float64)
        start += len(unit)
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    distance = np.square(values[:, None] - values[None, :])
    if nominal:
        distance = (distance > 0).astype(np.float64)
    totals = coincidences.sum(axis=1)
    number = totals.sum()
    observed = float((coincidences * distance).sum())
    expected = float((np.outer(totals, totals) * distance).sum()) / (number - 1)
    return None if expected == 0 else 1 - observed / expected


def rank_correlation(one: Floats, other: Floats) -> Floats:
    """Return Spearman's correlation along the last axis, NaN where a side does not vary.

    Args:
        one, other: float64 (..., n) of equal shape.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(values, axis=-1) for values in (one, other)]
    centred = [rank - rank.mean(axis=-1, keepdims=True) for rank in ranks]
    scale = np.sqrt(np.square(centred[0]).sum(axis=-1) * np.square(centred[1]).sum(axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(scale > 0, (centred[0] * centred[1]).sum(axis=-1) / scale, np.nan)
    missing = np.isnan(one).any(axis=-1) | np.isnan(other).any(axis=-1)
    return np.where(missing, np.nan, found)
