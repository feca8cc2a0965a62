"""Intervals and slopes of runs: resampling of persons, and Theil-Sen, as a protocol names them.

Clips of one person are not independent, so all intervals resample persons with all their clips. The documents
of runs call a person (or a source, where the person is unknown) a *cluster*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benchmark.rules import BOOTSTRAP_T, Aggregation

Floats = npt.NDArray[np.float64]

# With fewer persons no bootstrap is wide enough, and no difference is judged.
FEW_PERSONS = 6


@dataclass(frozen=True)
class PersonSums:
    """Values of clips summed over the clips of each person; NaN is left out.

    Attributes:
        sums: float64 (persons, columns).
        counts: float64 (persons, columns), number of values.
    """

    sums: Floats
    counts: Floats

    @classmethod
    def of(cls, values: Floats, persons: Sequence[str]) -> PersonSums:
        """Sum values (clips, columns) over the clips of each person."""
        names = sorted(set(persons))
        index = np.array([names.index(person) for person in persons])
        valid = ~np.isnan(values)
        sums = np.zeros((len(names), values.shape[1]))
        counts = np.zeros_like(sums)
        np.add.at(sums, index, np.where(valid, values, 0.0))
        np.add.at(counts, index, valid)
        return cls(sums, counts)

    @property
    def present(self) -> npt.NDArray[np.int64]:
        """Number of persons with a value in each column."""
        present: npt.NDArray[np.int64] = (self.counts > 0).sum(axis=0)
        return present


def means(values: Floats) -> list[float | None]:
    """Mean of each column of (clips, columns), NaN left out; None where a column is all NaN."""
    valid = ~np.isnan(values)
    counts = valid.sum(axis=0)
    sums = np.where(valid, values, 0.0).sum(axis=0)
    return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]


def interval_method(num_persons: int, rule: Aggregation) -> str:
    """Description of the interval that `intervals` computes for so many persons."""
    if num_persons < 2:
        return "no interval"
    if num_persons < FEW_PERSONS:
        return f"Student's t over {num_persons} clusters"
    hull = rule.interval == BOOTSTRAP_T
    name = "wider of bootstrap-t and Student's t" if hull else "expanded percentile bootstrap"
    return f"{name} over {num_persons} clusters, {rule.resamples} resamples, seed {rule.seed}"


def intervals(
    values: Floats, persons: Sequence[str], rule: Aggregation, *, fewest: int = 2
) -> list[tuple[float, float] | None]:
    """Interval of the mean of each column of (clips, columns), NaN left out.

    Below `FEW_PERSONS` persons the interval is Student's t with the person-robust standard error. From
    there on `rule.interval` decides:

    - expanded percentile bootstrap (Hesterberg 2015, *What Teachers Should Know About the Bootstrap*,
      section 3.2), in protocols of version 1;
    - the hull of the bootstrap-t interval (Efron and Tibshirani 1993, section 12.5) and Student's t, which
      covers skewed and outlier-laden values better (docs/explanation/statistics.md).

    The draws depend on `rule.seed` and the number of persons alone. A draw without a value in a column is
    left out of that column.

    Returns:
        (low, high) for each column; None where fewer than `fewest` persons (2 or more) have a value in it.
    """
    data = PersonSums.of(values, persons)
    present = data.present
    student = _student(data, rule.level)
    resampled = _resampled(data, rule) if (present >= FEW_PERSONS).any() else student
    found: list[tuple[float, float] | None] = []
    for column, number in enumerate(present):
        low, high = (student if number < FEW_PERSONS else resampled)[:, column]
        found.append(None if number < fewest else (float(low), float(high)))
    return found


def _resampled(data: PersonSums, rule: Aggregation) -> Floats:
    """Bounds of the bootstrap interval that the rule names, (2, columns)."""
    weights = resamples(len(data.sums), rule)
    if rule.interval == BOOTSTRAP_T:
        return _bootstrap_t_interval(data, weights, rule.level)
    counts = weights @ data.counts
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.where(counts > 0, (weights @ data.sums) / counts, np.nan)
    bounds = np.full((2, drawn.shape[1]), np.nan)
    for column, number in enumerate(data.present):
        if number >= FEW_PERSONS:
            tail = expanded_tail(int(number), rule.level)
            bounds[:, column] = np.nanquantile(drawn[:, column], [tail, 1 - tail])
    return bounds


def _bootstrap_t_interval(data: PersonSums, weights: npt.NDArray[np.int64], level: float) -> Floats:
    """Hull of the bootstrap-t interval and Student's t, (2, columns)."""
    _, null = bootstrap_t(data, weights.astype(np.float64))
    mean, error = robust_mean(data)
    student = _student(data, level)
    bounds = student.copy()
    for column in np.flatnonzero((data.present >= FEW_PERSONS) & (error > 0)):
        drawn = np.sort(null[:, column][~np.isnan(null[:, column])])
        low, high = (drawn[round(share * (len(drawn) - 1))] for share in ((1 - level) / 2, (1 + level) / 2))
        if np.isfinite(low) and np.isfinite(high):
            ends = mean[column] - np.array([high, low]) * error[column]
            bounds[:, column] = min(ends[0], student[0, column]), max(ends[1], student[1, column])
    return bounds


def bootstrap_t(data: PersonSums, weights: Floats) -> tuple[Floats, Floats]:
    """Studentised mean of each column, as observed and under resampling of persons.

    Args:
        data: sums and counts of the persons.
        weights: float64 (draws, persons), how often each person is in a draw.

    Returns:
        (columns,): mean divided by its person-robust standard error, NaN where that is 0. (draws, columns):
        the same of each draw, for its distance to the observed mean; NaN where a draw has no value, infinite
        where its persons do not differ.
    """
    mean, error = robust_mean(data)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.where(error > 0, mean / error, np.nan)
        counts = weights @ data.counts
        drawn = weights @ data.sums / counts
        # Sum over persons of w (s - c m)^2, multiplied out so that no array has three dimensions.
        squares = (
            weights @ np.square(data.sums)
            - 2 * drawn * (weights @ (data.sums * data.counts))
            + np.square(drawn) * (weights @ np.square(data.counts))
        )
        present = data.present
        errors = np.sqrt(present / (present - 1) * np.maximum(squares, 0)) / counts
        null = (drawn - mean) / errors
    # Rounding leaves a trace of variance in a draw of one person.
    flat = errors <= 1e-7 * error
    null[flat] = np.copysign(np.inf, (drawn - mean)[flat])
    null[flat & (np.abs(drawn - mean) <= 1e-7 * error)] = 0.0
    return observed, null


def robust_mean(data: PersonSums) -> tuple[Floats, Floats]:
    """Mean over clips of each column and its person-robust standard error, (columns,) each."""
    present, total = data.present, data.counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = data.sums.sum(axis=0) / total
        residuals = data.sums - data.counts * mean
        error = np.sqrt(present / (present - 1) * np.square(residuals).sum(axis=0)) / total
    # A constant column has an error of rounding.
    scale = np.abs(data.sums).max(axis=0, initial=0) / np.maximum(data.counts.max(axis=0, initial=0), 1)
    return mean, np.where(error > 1e-12 * scale, error, 0.0)


def resamples(persons: int, rule: Aggregation) -> npt.NDArray[np.int64]:
    """Return the count of each person in each bootstrap draw, int64 (resamples, persons), read-only."""
    return _draws(persons, rule.resamples, rule.seed)


@lru_cache(maxsize=4)
def _draws(persons: int, number: int, seed: int) -> npt.NDArray[np.int64]:
    drawn = np.random.default_rng(seed).multinomial(persons, [1 / persons] * persons, size=number)
    drawn.flags.writeable = False
    return drawn


def expanded_tail(num_persons: int, level: float) -> float:
    """Share of the draws below the expanded percentile interval."""
    from scipy.stats import norm, t

    quantile = t.ppf((1 + level) / 2, num_persons - 1)
    return float(norm.cdf(-quantile * np.sqrt(num_persons / (num_persons - 1))))


def _student(data: PersonSums, level: float) -> Floats:
    """Bounds of Student's t with the person-robust standard error, (2, columns); NaN below two persons."""
    from scipy.stats import t

    bounds = np.full((2, data.sums.shape[1]), np.nan)
    # One column at a time: a sum over two axes adds in another order, and stored runs keep their last bit.
    for column in np.flatnonzero(data.present >= 2):
        there = data.counts[:, column] > 0
        sums, counts = data.sums[there, column], data.counts[there, column]
        number, total = len(sums), counts.sum()
        mean = sums.sum() / total
        error = np.sqrt(number / (number - 1) * np.square(sums - counts * mean).sum()) / total
        half = t.ppf((1 + level) / 2, number - 1) * error
        bounds[:, column] = mean - half, mean + half
    return bounds


def theil_sen(x: Floats, y: Floats) -> float:
    """Median of the slopes between all pairs of points."""
    from scipy.stats import theilslopes

    return float(theilslopes(y, x)[0])
