"""Usable horizon: when a clip crosses, and what clips say that never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.horizon import Lifetime, horizon, lifetime


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
