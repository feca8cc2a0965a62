from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from benchmark.drift import FrameScores, curve
from benchmark.protocol import Aggregation, load_protocol
from benchmark.statistics import intervals, means, theil_sen

RULE = load_protocol("tp-long@1").aggregation
DRIFT = load_protocol("tp-long@1").drift


def interval(
    values: list[float], clusters: list[str], rule: Aggregation = RULE
) -> tuple[float, float] | None:
    return intervals(np.array(values)[:, None], clusters, rule)[0]


def test_with_one_clip_a_cluster_it_is_scipys_percentile_bootstrap() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(0).normal(20, 3, 25)
    expected = bootstrap(
        (values,), np.mean, n_resamples=10000, method="percentile", random_state=1
    ).confidence_interval
    found = interval(list(values), [str(i) for i in range(25)])
    assert found == pytest.approx((expected.low, expected.high), abs=0.1)


def test_clips_of_one_person_are_no_independent_evidence() -> None:
    generator = np.random.default_rng(0)
    people = generator.normal(20, 3, 10)
    values = [float(v) for v in np.repeat(people, 8) + generator.normal(0, 0.1, 80)]
    apart = interval(values, [str(i) for i in range(80)])
    together = interval(values, [str(i // 8) for i in range(80)])
    assert apart is not None and together is not None
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


def test_one_cluster_has_no_interval() -> None:
    assert interval([1.0, 2.0], ["a", "a"]) is None
    assert interval([1.0, np.nan], ["a", "b"]) is None


def test_the_interval_does_not_depend_on_the_order_of_the_clips() -> None:
    values, clusters = [1.0, 5.0, 2.0, 8.0], ["a", "b", "a", "c"]
    assert interval(values, clusters) == interval(values[::-1], clusters[::-1])


def test_means_leave_out_what_is_not_there() -> None:
    assert means(np.array([[1.0, np.nan], [3.0, np.nan]])) == [2.0, None]


def test_theil_sen_ignores_an_outlier() -> None:
    x = np.arange(9.0)
    y = 2 * x + 1
    y[4] = 1000
    assert theil_sen(x, y) == pytest.approx(2)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)])
def test_a_linear_drift_has_its_slope(fps: Fraction) -> None:
    clip = FrameScores("a", fps, 30 - 0.02 * np.arange(250.0))
    found = curve([clip], DRIFT, RULE)
    assert found.slope_per_100_frames == pytest.approx(-2, abs=0.01)
    assert found.time_s == [i + 0.5 for i in range(int(250 / fps))]
    assert found.low == [None] * len(found.time_s)
    assert found.ci95 is None


def test_bins_hold_the_frames_of_their_second() -> None:
    fps = Fraction(30000, 1001)
    scores = np.array([float(int(t / fps)) for t in range(100)])
    found = curve([FrameScores("a", fps, scores)], DRIFT, RULE)
    assert found.mean == [0.0, 1.0, 2.0]


def test_a_bin_counts_the_clips_that_reach_it() -> None:
    long, short = np.full(100, 1.0), np.full(60, 3.0)
    found = curve([FrameScores("a", Fraction(25), long), FrameScores("b", Fraction(25), short)], DRIFT, RULE)
    assert found.n_clips == [2, 2, 1, 1]
    assert found.mean == [2.0, 2.0, 1.0, 1.0]
    assert found.low[0] == 1.0 and found.high[0] == 3.0
    assert found.low[2] is None


def test_infinite_scores_leave_holes_and_no_slope() -> None:
    scores = np.full(100, np.nan)
    scores[:25] = 40
    found = curve([FrameScores("a", Fraction(25), scores)], DRIFT, RULE)
    assert found.mean == [40.0, None, None, None]
    assert found.slope_per_100_frames is None
