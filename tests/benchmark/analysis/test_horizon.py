"""Usable horizon: when a clip crosses, and what clips say that never do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from benchmark.analysis.horizon import Lifetime, lifetime
from benchmark.analysis.horizon import horizon as horizon_of
from benchmark.protocols.protocol import load_protocol
from benchmark.results import Horizon

RULE = load_protocol("tp-long@1").aggregation


def horizon(clips: Sequence[Lifetime], threshold: float, lasting: int) -> Horizon:
    """Every clip shows another person."""
    return horizon_of(clips, threshold, lasting, [f"{i:02}" for i in range(len(clips))], RULE)


@pytest.mark.parametrize(
    ("bins", "threshold", "expected"),
    [
        ([0, 0, -2, -2, -2, 0], -1, Lifetime(2, True)),
        ([0, -2, -2, 0, -2, -2], -1, Lifetime(4, False)),
        ([5, 5, 5], 4, Lifetime(0, True)),
        ([5, 5, 5], -4, Lifetime(1, False)),
        ([0, 9, np.nan, 9, 9, 9], 4, Lifetime(3, True)),
        ([-4, -4, -4], -4, Lifetime(0, True)),
        ([9, 9], 4, Lifetime(0, False)),
        ([], 4, Lifetime(0, False)),
    ],
)
def test_the_first_second_after_which_it_stays_out(
    bins: list[float], threshold: float, expected: Lifetime
) -> None:
    assert lifetime(np.array(bins, dtype=np.float64), threshold, 3) == expected


def test_survival_by_hand() -> None:
    """Kaplan and Meier of crossings at 2 and 5 with clips that end at 3 and 9: 3/4, then a half of that."""
    found = horizon([Lifetime(2, True), Lifetime(3, False), Lifetime(5, True), Lifetime(9, False)], -1, 3)
    assert dict(zip(found.time_s, found.survival, strict=True)) == pytest.approx(
        {2: 0.75, 3: 0.75, 5: 0.375, 9: 0.375}
    )
    assert (found.median_s, found.n_clips, found.n_crossed, found.reason) == (5, 4, 2, None)


def test_clips_that_never_cross_have_no_median_and_say_why() -> None:
    found = horizon([Lifetime(20, False), Lifetime(7, False)], -1, 3)
    assert found.median_s is None and found.n_crossed == 0 and set(found.survival) == {1.0}
    assert found.reason is not None and "still within bounds" in found.reason


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=12))
def test_a_survival_curve_falls_from_one(clips: list[tuple[int, bool]]) -> None:
    found = horizon([Lifetime(seconds, crossed) for seconds, crossed in clips], -1, 3)
    assert all(0 <= share <= 1 for share in found.survival)
    assert list(found.survival) == sorted(found.survival, reverse=True)
    assert list(found.time_s) == sorted(found.time_s)
    if all(crossed for _, crossed in clips):
        assert found.median_s is not None
    # The curve is scipy's.
    crossed = [float(seconds) for seconds, crossed in clips if crossed]
    untouched = [float(seconds) for seconds, crossed in clips if not crossed]
    theirs = ecdf(CensoredData(uncensored=crossed, right=untouched)).sf
    assert found.time_s == pytest.approx(theirs.quantiles)
    assert found.survival == pytest.approx(theirs.probabilities)
    assert (found.low is None) == (found.high is None) == (len(clips) < 6)
    if found.low is not None and found.high is not None:
        assert all(low <= high for low, high in zip(found.low, found.high, strict=True))


def test_the_interval_of_the_median() -> None:
    """Of a dozen people who cross at 1 to 12 s; and of those of whom nobody does."""
    found = horizon([Lifetime(second, crossed=True) for second in range(1, 13)], -1, 3)
    assert found.median_s == 6 and found.median_ci95 is not None
    low, high = found.median_ci95
    assert low is not None and high is not None and 2 <= low < 6 < high <= 11
    never = horizon([Lifetime(9, crossed=False)] * 8, -1, 3)
    assert never.median_ci95 == (None, None) and never.low == never.high == [1.0]
    some = horizon([Lifetime(2, crossed=k < 4) for k in range(8)], -1, 3)
    assert some.median_s == 2 and some.median_ci95 == (2, None)


def test_clips_of_one_person_are_drawn_together() -> None:
    """Six people with two clips each know as much as six with one, not as twelve."""
    lives = [Lifetime(second, crossed=True) for second in range(1, 7)]
    single = horizon(lives, -1, 3)
    double = horizon_of([*lives, *lives], -1, 3, [f"{i:02}" for i in (*range(6), *range(6))], RULE)
    assert double.survival == pytest.approx(single.survival)
    assert double.median_ci95 == single.median_ci95
