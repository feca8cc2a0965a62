from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from benchmark.analysis.drift import FrameScores, curve
from benchmark.analysis.statistics import intervals, means, theil_sen
from benchmark.protocols.protocol import load_protocol
from benchmark.rules import Aggregation

RULE = load_protocol("tp-long@1").aggregation
DRIFT = load_protocol("tp-long@1").drift


def interval(
    values: list[float], clusters: list[str], rule: Aggregation = RULE
) -> tuple[float, float] | None:
    return intervals(np.array(values)[:, None], clusters, rule)[0]


def test_with_one_clip_a_cluster_it_is_scipys_bootstrap_at_expanded_percentiles() -> None:
    from scipy.stats import bootstrap, norm, t

    values = np.random.default_rng(0).normal(20, 3, 25)
    level = 1 - 2 * norm.cdf(-np.sqrt(25 / 24) * t.ppf(0.975, 24))
    expected = bootstrap(
        (values,), np.mean, n_resamples=10000, method="percentile", confidence_level=level, random_state=1
    ).confidence_interval
    found = interval(list(values), [str(i) for i in range(25)])
    assert found == pytest.approx((expected.low, expected.high), abs=0.1)


def test_a_few_people_with_a_clip_each_have_students_interval() -> None:
    from scipy.stats import ttest_1samp

    values = [19.0, 22.5, 25.0, 18.0]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval(values, list("abcd")) == pytest.approx((expected.low, expected.high))
    assert interval([7.0, 7.0], ["a", "b"]) == (7.0, 7.0)
    assert intervals(np.array(values)[:, None], list("abcd"), RULE, fewest=6) == [None]


@pytest.mark.parametrize("num_people", [2, 3, 5, 6, 12])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(num_people: int) -> None:
    generator = np.random.default_rng(num_people)
    rule = RULE.model_copy(update={"resamples": 2000})
    clusters = [str(person) for person in range(num_people) for _ in range(3)]
    people = generator.normal(0, 3, (num_people, 1, 800))
    values = (people + generator.normal(0, 1, (num_people, 3, 800))).reshape(-1, 800)
    held = [low <= 0 <= high for low, high in filter(None, intervals(values, clusters, rule))]
    # 800 draws of a probability of 0.95 stay within 0.02; the percentiles of a plain bootstrap give 0.50 at
    # two people, 0.83 at five and 0.90 at ten.
    assert len(held) == 800 and 0.905 <= np.mean(held) <= 0.975


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
    assert found.low == found.high == [None] * 4


def test_a_curve_has_a_band_from_six_people_on() -> None:
    clips = [FrameScores(name, Fraction(25), np.full(50, float(i))) for i, name in enumerate("abcdef")]
    found = curve(clips, DRIFT, RULE)
    assert found.low[0] is not None and 0 <= found.low[0] < 2.5 < found.high[0] <= 5
    assert curve(clips[:5], DRIFT, RULE).low == [None, None]


def test_infinite_scores_leave_holes_and_no_slope() -> None:
    scores = np.full(100, np.nan)
    scores[:25] = 40
    found = curve([FrameScores("a", Fraction(25), scores)], DRIFT, RULE)
    assert found.mean == [40.0, None, None, None]
    assert found.slope_per_100_frames is None
