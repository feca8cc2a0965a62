"""Usable horizon: for how long a per-frame score stays within bounds, over clips of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.analysis.statistics import FEW_PERSONS, expanded_tail, resamples
from benchmark.results import Horizon
from benchmark.rules import Aggregation

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


def shortest(lifetimes: Sequence[Lifetime]) -> Lifetime:
    """Return the lifetime of a clip by several scores together: the first crossing, else the first end."""
    crossings = [life for life in lifetimes if life.crossed]
    first = min(crossings or lifetimes, key=lambda life: life.seconds)
    ends = [life.seconds for life in lifetimes if not life.crossed]
    # A score that is not known to the end does not delay the crossing of another.
    return first if first.crossed else Lifetime(min(ends), crossed=False)


def horizon(
    lifetimes: Sequence[Lifetime],
    threshold: float | None,
    lasting: int,
    clusters: Sequence[str],
    rule: Aggregation,
) -> Horizon:
    """Median and survival curve by Kaplan and Meier (1958); clips that did not cross are censored.

    Args:
        lifetimes: of each clip.
        threshold, lasting: as for `lifetime`; no threshold where several scores are judged together.
        clusters: whose clip each is; the clusters are what is resampled for the intervals.
        rule: level, number of draws and seed of the intervals.
    """
    times = np.unique([life.seconds for life in lifetimes])
    names = sorted(set(clusters))
    crossed, at_risk = np.zeros((2, len(names), len(times)))
    for life, cluster in zip(lifetimes, clusters, strict=True):
        at_risk[names.index(cluster)] += times <= life.seconds
        crossed[names.index(cluster)] += life.crossed & (times == life.seconds)
    survival = _survival(crossed.sum(axis=0), at_risk.sum(axis=0))
    median = float(_medians(survival, times))
    band = None
    if len(names) >= FEW_PERSONS:
        draws = resamples(len(names), rule)
        band = _survival(draws @ crossed, draws @ at_risk)
    return Horizon(
        threshold=threshold,
        lasting_s=lasting,
        n_clips=len(lifetimes),
        n_crossed=sum(life.crossed for life in lifetimes),
        median_s=_or_none(median),
        time_s=[float(time) for time in times],
        survival=survival.tolist(),
        low=None if band is None else _quantiles(band, len(names), rule)[0].tolist(),
        high=None if band is None else _quantiles(band, len(names), rule)[1].tolist(),
        median_ci95=None if band is None else _ends(_quantiles(_medians(band, times), len(names), rule)),
        reason=None
        if np.isfinite(median)
        else "more than half of the clips are still within bounds where they end",
    )


def _survival(crossed: Floats, at_risk: Floats) -> Floats:
    """The curves (..., times) of numbers of clips that cross at each time, and that have come so far."""
    with np.errstate(invalid="ignore", divide="ignore"):
        stays = np.where(at_risk > 0, 1 - crossed / at_risk, 1.0)
    return np.asarray(np.cumprod(stays, axis=-1))


def _medians(survival: Floats, times: npt.NDArray[np.int64]) -> Floats:
    """The first time at which a curve (..., times) is at a half or below, infinite where it never is."""
    # A product of shares may miss a half by its rounding.
    below = survival <= 0.5 + 1e-12
    return np.where(below.any(axis=-1), times[below.argmax(axis=-1)], np.inf)


def _quantiles(draws: Floats, num_clusters: int, rule: Aggregation) -> Floats:
    """Both ends of the interval of each column of (draws, ...), itself a draw: none is between two."""
    tail = expanded_tail(num_clusters, rule.level)
    return np.asarray(np.quantile(draws, [tail, 1 - tail], axis=0, method="inverted_cdf"))


def _ends(interval: Floats) -> tuple[float | None, float | None]:
    low, high = interval.tolist()
    return _or_none(low), _or_none(high)


def _or_none(seconds: float) -> float | None:
    return seconds if np.isfinite(seconds) else None
