"""Tests of paired differences over persons, adjusted for many metrics at once.

Two tests are combined, because each fails where the other holds:

- **Sign flips.** Exact if the differences of a person are symmetric about zero under the hypothesis. The
  rate of false positives rises to 0.15 for skewed differences.
- **Bootstrap-t.** Corrects skewness to second order. The rate rises for differences with symmetric outliers.

The p-value of a metric is the larger of the two. Both are adjusted for all metrics of a family by step-down
resampling (Westfall and Young, *Resampling-Based Multiple Testing*, 1993, algorithm 2.8): the same sign
pattern or bootstrap sample is applied to all metrics, so metrics that move together cost little.
`docs/explanation/statistics.md` has measured error rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benchmark.analysis.statistics import Floats, PersonSums, bootstrap_t

# All sign patterns are used up to this number of persons; above it, random ones.
_EXACT_PERSONS = 14
_RANDOM_PATTERNS = 2**14
_RESAMPLES = 9999
ASSUMPTION = (
    "persons are independent; the larger p of a sign-flip test (exact for symmetric differences) and a "
    "bootstrap-t test (second-order correct for skewed ones); extreme persons too rare to be in the sample "
    "are not accounted for"
)


@dataclass(frozen=True)
class PValues:
    """Two-sided p-values per metric, before and after adjustment for all metrics; float64 (metrics,)."""

    raw: Floats
    adjusted: Floats


def paired_test(differences: Floats, persons: Sequence[str], *, draws: int = _RESAMPLES) -> PValues:
    """Test the hypothesis of no difference for each metric.

    Args:
        differences: float64 (clips, metrics), finite.
        persons: the person of each clip; at least two persons.
        draws: number of bootstrap samples.

    Returns:
        The larger p-value of the two tests, raw and adjusted. 1 for a metric without any difference.
    """
    data = PersonSums.of(differences, persons)
    flips, resampled = sign_flip_test(data), bootstrap_t_test(data, draws)
    return PValues(np.maximum(flips.raw, resampled.raw), np.maximum(flips.adjusted, resampled.adjusted))


def least_p(num_persons: int) -> float:
    """Smallest adjusted p-value that `paired_test` can give, whatever the data."""
    patterns = 2.0**num_persons if num_persons <= _EXACT_PERSONS else float(_RANDOM_PATTERNS + 1)
    return min(1.0, max(2 / patterns, 2 / (_RESAMPLES + 1)))


def sign_flip_test(data: PersonSums) -> PValues:
    """Sign-flip test of the total difference, with step-down max-T adjustment.

    The statistic of a metric is its absolute total divided by the root of the sum of squares over persons,
    which sign flips leave unchanged; within a metric it orders patterns as Student's t does.
    """
    scale = np.sqrt(np.square(data.sums).sum(axis=0))
    tested = scale > 0
    units = data.sums[:, tested] / scale[tested]
    null = np.abs(_sign_patterns(len(data.sums)) @ units)
    observed = np.abs(units.sum(axis=0))
    return _scattered(_step_down(null, observed), tested)


def bootstrap_t_test(data: PersonSums, draws: int = _RESAMPLES) -> PValues:
    """Equal-tailed bootstrap-t test, with step-down min-p adjustment.

    Persons are resampled with all their clips. The statistic is the difference of the mean from the observed
    one, divided by its person-robust standard error.
    """
    observed, null = bootstrap_t(data, _resamples(len(data.sums), draws))
    tested = np.isfinite(observed)
    statistic, drawn = observed[tested], null[:, tested]
    # Each draw becomes the p-value that it would have; a small p-value is a large statistic.
    p_null = np.column_stack([_two_tailed(column, column) for column in drawn.T]) if tested.any() else drawn
    p_observed = np.array([_two_tailed(column, t)[0] for column, t in zip(drawn.T, statistic, strict=True)])
    found = _step_down(-p_null, -p_observed, extra=1)
    return _scattered(PValues(p_observed, np.maximum(found.adjusted, p_observed)), tested)


# A board tests hundreds of pairs with the same persons: patterns and draws are kept, read-only.
@lru_cache(maxsize=4)
def _sign_patterns(persons: int) -> Floats:
    """All patterns of signs, or random ones that include the observed pattern; (patterns, persons)."""
    if persons <= _EXACT_PERSONS:
        bits = np.arange(2**persons)[:, None] >> np.arange(persons)
        patterns: Floats = 1.0 - 2.0 * (bits & 1)
    else:
        drawn = np.random.default_rng(0).integers(0, 2, (_RANDOM_PATTERNS, persons))
        patterns = np.vstack([np.ones(persons), 1.0 - 2.0 * drawn])
    patterns.flags.writeable = False
    return patterns


@lru_cache(maxsize=4)
def _resamples(persons: int, draws: int) -> Floats:
    drawn = np.random.default_rng(0).multinomial(persons, [1 / persons] * persons, size=draws)
    weights = drawn.astype(np.float64)
    weights.flags.writeable = False
    return weights


def _two_tailed(null: Floats, observed: Floats | float) -> Floats:
    """Equal-tailed p-values of `observed` in the draws of `null`, counting the observation itself."""
    ordered = np.sort(null)
    values = np.atleast_1d(np.asarray(observed, dtype=np.float64))
    below = np.searchsorted(ordered, values, side="right") + 1
    above = len(ordered) - np.searchsorted(ordered, values, side="left") + 1
    found: Floats = np.minimum(1.0, 2.0 * np.minimum(below, above) / (len(ordered) + 1))
    return found


def _step_down(null: Floats, observed: Floats, *, extra: int = 0) -> PValues:
    """Raw and step-down adjusted p-values; large statistics are evidence.

    Args:
        null: float64 (draws, metrics).
        observed: float64 (metrics,).
        extra: 1 where the observation is not one of the draws and is to be counted.
    """
    # Equal sums differ by rounding: a draw that is equal to the observation counts.
    reached = observed - 1e-9
    count = len(null) + extra
    raw = ((null >= reached).sum(axis=0) + extra) / count
    order = np.argsort(-observed, kind="stable")
    # Running maximum over the metrics from the least to the most significant one.
    largest = np.maximum.accumulate(null[:, order[::-1]], axis=1)[:, ::-1]
    stepped = ((largest >= reached[order]).sum(axis=0) + extra) / count
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.maximum.accumulate(stepped)
    return PValues(raw, np.minimum(adjusted, 1.0))


def _scattered(found: PValues, tested: npt.NDArray[np.bool_]) -> PValues:
    """P-values for all metrics: 1 where a metric was not tested."""
    raw, adjusted = np.ones(len(tested)), np.ones(len(tested))
    raw[tested], adjusted[tested] = found.raw, found.adjusted
    return PValues(raw, adjusted)
