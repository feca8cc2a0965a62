"""Paired tests: closed forms, error rates by simulation, power against Holm's correction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.analysis.multiple_testing import (
    bootstrap_t_test,
    least_p,
    paired_test,
    sign_flip_test,
)
from benchmark.analysis.statistics import PersonSums


def persons(number: int, clips: int = 1) -> list[str]:
    return [f"person {index}" for index in range(number) for _ in range(clips)]


def column(values: object) -> PersonSums:
    table = np.asarray(values, float)[:, None]
    return PersonSums.of(table, persons(len(table)))


def test_the_p_of_a_sign_flip_is_a_count() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, -6.0])
    totals = [np.dot(signs, values) for signs in itertools.product((1, -1), repeat=6)]
    expected = np.mean([abs(total) >= abs(values.sum()) for total in totals])
    assert sign_flip_test(column(values)).raw[0] == pytest.approx(expected)
    assert sign_flip_test(column(np.full(8, 0.25))).raw[0] == pytest.approx(2 / 2**8)
    assert sign_flip_test(column(np.zeros(8))).raw[0] == 1.0


def test_clips_of_a_person_stay_together() -> None:
    values = np.random.default_rng(0).normal(1, 1, (24, 2))
    together = PersonSums.of(values, persons(8, 3))
    assert together.sums == pytest.approx(values.reshape(8, 3, 2).sum(axis=1))
    assert (together.counts == 3).all()
    assert sign_flip_test(together).raw == pytest.approx(
        sign_flip_test(PersonSums.of(together.sums, persons(8))).raw
    )


def test_one_metric_needs_no_adjustment_and_copies_cost_nothing() -> None:
    values = np.random.default_rng(1).normal(0.8, 1, 9)
    one = paired_test(values[:, None], persons(9))
    assert one.adjusted == pytest.approx(one.raw)
    many = paired_test(np.column_stack([values * scale for scale in (1, 10, 0.1, -3)]), persons(9))
    assert many.adjusted == pytest.approx(np.full(4, one.raw[0]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(6, 11), st.integers(1, 6))
def test_adjusted_values_stay_between_the_raw_ones_and_1_whatever_the_sign(
    seed: int, number: int, metrics: int
) -> None:
    values = np.random.default_rng(seed).standard_t(3, (number, metrics)) + 0.5
    for test in (sign_flip_test, bootstrap_t_test):
        found = test(PersonSums.of(values, persons(number)))
        assert (found.adjusted >= found.raw - 1e-12).all() and (found.adjusted <= 1).all()
    both = paired_test(values, persons(number))
    assert (both.adjusted >= least_p(number) - 1e-12).all()
    flipped = paired_test(-values, persons(number))
    assert flipped.adjusted == pytest.approx(both.adjusted)


def test_false_positives_of_any_of_eight_metrics() -> None:
    """The rate is 0.05 or less; tools/simulate_statistics.py measures it for other distributions."""
    generator = np.random.default_rng(0)
    tables = (generator.normal(size=(9, 1)) + generator.normal(size=(9, 8)) for _ in range(60))
    hits = sum(bool((paired_test(table, persons(9)).adjusted < 0.05).any()) for table in tables)
    # 0.05 plus three standard errors of 60 simulations.
    assert hits <= 8


def test_skewed_differences_are_flagged_less_often_than_by_sign_flips() -> None:
    generator = np.random.default_rng(0)
    data = [PersonSums.of(generator.exponential(size=(10, 20)) - 1, persons(10)) for _ in range(15)]
    flips = np.mean([sign_flip_test(one).raw < 0.05 for one in data])
    resampled = np.mean([bootstrap_t_test(one).raw < 0.05 for one in data])
    assert resampled < 0.75 * flips


def test_power_of_thirty_related_metrics() -> None:
    """Step-down resampling rejects where Holm's correction of ten persons cannot."""
    generator = np.random.default_rng(0)
    person = generator.normal(1.5, 0.5, (10, 1))
    values = person + generator.normal(0, 0.3, (10, 30))
    assert 30 * sign_flip_test(PersonSums.of(values, persons(10))).raw.min() > 0.05
    assert (paired_test(values, persons(10)).adjusted < 0.05).sum() >= 28


def test_values_without_spread() -> None:
    table = np.column_stack([np.zeros(7), np.full(7, 2.0), [1.0, 2, 3, 4, 5, 6, 7]])
    found = paired_test(table, persons(7))
    assert found.raw[0] == 1.0 and np.isfinite(found.adjusted).all()
