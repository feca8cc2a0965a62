"""Intervals and slopes: the cluster bootstrap and Theil-Sen, as a protocol names them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmark.protocol import Aggregation

Floats = npt.NDArray[np.float64]


def means(values: Floats) -> list[float | None]:
    """Mean of each column of (clips, columns), NaN left out; None where a column is all NaN."""
    valid = ~np.isnan(values)
    counts = valid.sum(axis=0)
    sums = np.where(valid, values, 0.0).sum(axis=0)
    return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]


def intervals(values: Floats, clusters: Sequence[str], rule: Aggregation) -> list[tuple[float, float] | None]:
    """Percentile bootstrap interval of the mean of each column of (clips, columns), NaN left out.

    Clusters are drawn with replacement, as many as there are, with all their clips: clips of one person are
    no independent evidence. The draws depend on `rule.seed` and the number of clusters alone. A draw that
    holds no value of a column says nothing of it and is left out.

    Returns:
        (low, high) for each column; None where fewer than two clusters have a value in it.
    """
    names = sorted(set(clusters))
    of_clip = np.array([names.index(cluster) for cluster in clusters])
    valid = ~np.isnan(values)
    sums = np.zeros((len(names), values.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, of_clip, np.where(valid, values, 0.0))
    np.add.at(counts, of_clip, valid)
    usable = (counts > 0).sum(axis=0) >= 2
    if not usable.any():
        return [None] * values.shape[1]
    generator = np.random.default_rng(rule.seed)
    weights = generator.multinomial(len(names), [1 / len(names)] * len(names), size=rule.resamples)
    drawn_counts = weights @ counts
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.where(drawn_counts > 0, (weights @ sums) / drawn_counts, np.nan)
    tail = (1 - rule.level) / 2
    found: list[tuple[float, float] | None] = []
    for column, enough in enumerate(usable):
        if enough:
            low, high = np.nanquantile(drawn[:, column], [tail, 1 - tail])
            found.append((float(low), float(high)))
        else:
            found.append(None)
    return found


def theil_sen(x: Floats, y: Floats) -> float:
    """Median of the slopes between all pairs of points."""
    from scipy.stats import theilslopes

    return float(theilslopes(y, x)[0])
