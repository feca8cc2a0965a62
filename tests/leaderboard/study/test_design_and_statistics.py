"""Design of a study, strengths, intervals and agreement, against closed forms and published examples."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from leaderboard.study.agreement import krippendorff_alpha, rank_correlation
from leaderboard.study.bradley_terry import fit_strengths, pair_indices
from leaderboard.study.design import balanced_pairs
from leaderboard.study.intervals import two_way_intervals
from leaderboard.study.simulation import SimulatedStudy
from leaderboard.study.votes import strengths_of


@pytest.mark.parametrize(
    ("contestants", "clips", "raters", "pairs"), [(3, 7, 10, 12), (5, 8, 9, 24), (4, 6, 7, 5)]
)
def test_every_pair_and_clip_is_seen_equally(contestants: int, clips: int, raters: int, pairs: int):
    plan = balanced_pairs(contestants, clips, raters, pairs, random.Random(3))
    shown = [one for own in plan for one in own]
    assert [len(own) for own in plan] == [pairs] * raters
    for own in plan:
        cells = [(one.clip, frozenset((one.left, one.right))) for one in own]
        assert len(set(cells)) == len(cells)
    for name in ("clip", "pair", "cell"):
        counts = Counter(
            {"clip": one.clip, "pair": frozenset((one.left, one.right)),
             "cell": (one.clip, frozenset((one.left, one.right)))}[name] for one in shown
        )  # fmt: skip
        every = {"clip": clips, "pair": contestants * (contestants - 1) // 2}
        missing = len(counts) < every.get(name, 0)
        assert not missing and max(counts.values()) - min(counts.values()) <= 2, (name, counts)
    sides = Counter((one.left, one.right) for one in shown)
    assert all(abs(sides[a, b] - sides[b, a]) <= 1 for a, b in sides)


def test_a_rater_sees_no_pair_twice_even_if_asked_for_more():
    (own,) = balanced_pairs(3, 2, 1, 50, random.Random(0))
    assert len(own) == 6


def test_strengths_of_two_contestants_have_a_closed_form():
    counts = np.array([[[300.0, 100.0, 200.0]]])
    strengths, log_nu = fit_strengths(counts, 2)
    # The prior pulls by less than the third decimal.
    assert strengths[0, 0] - strengths[0, 1] == pytest.approx(np.log(3), abs=2e-3)
    assert np.exp(log_nu[0]) == pytest.approx(200 / np.sqrt(300 * 100), abs=2e-3)


def test_strengths_stay_finite_without_a_loss():
    strengths, _ = fit_strengths(np.array([[[50.0, 0.0, 0.0], [50.0, 0.0, 0.0], [0.0, 50.0, 0.0]]]), 3)
    assert np.isfinite(strengths).all() and strengths[0].argmax() == 0 and strengths[0].argmin() == 1
    assert np.allclose(strengths.sum(axis=1), 0)


def test_alpha_of_the_published_example():
    # Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C: four observers, twelve units.
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    units = [[float(row[unit]) for row in table if row[unit] is not None] for unit in range(12)]
    assert krippendorff_alpha(units, nominal=True) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(units) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha([[1.0], [2.0]]) is None


def test_rank_correlation_follows_scipy():
    from scipy.stats import spearmanr

    draw = np.random.default_rng(1)
    one, other = draw.normal(size=(5, 6)), draw.integers(0, 3, (5, 6)).astype(float)
    expected = [spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]
    assert rank_correlation(one, other) == pytest.approx(expected)
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0)))


def test_simulated_raters_recover_known_strengths_with_the_stated_coverage():
    """The large simulation is tools/simulate_votes.py; this one fails where intervals are far too narrow."""
    study = SimulatedStudy((-0.8, -0.1, 0.2, 0.7), clips=10, raters=12, pairs=24, rater_sd=0, clip_sd=0)
    one, other = pair_indices(4)
    true = np.array(study.strengths)[one] - np.array(study.strengths)[other]
    held, estimates, widths = [], [], []
    for seed in range(30):
        votes = study.votes(seed)

        def statistic(weights: np.ndarray, votes=votes) -> np.ndarray:
            fitted = strengths_of(votes, 4, weights)
            return fitted[:, one] - fitted[:, other]

        ends = two_way_intervals(statistic, votes.rater, votes.clip, draws=100, seed=seed)
        estimates.append(statistic(np.ones((1, len(votes.outcome))))[0])
        held += [low <= value <= high for value, (low, high) in zip(true, ends, strict=True)]
        widths += [high - low for low, high in ends]
    assert np.abs(np.mean(estimates, axis=0) - true).max() < 0.12
    # 180 intervals, which are not independent: 0.95 stated.
    assert np.mean(held) > 0.91
    assert np.mean(widths) < 6 * np.std(np.array(estimates) - true)


def test_intervals_grow_with_the_differences_between_raters():
    plain = SimulatedStudy((0.5, -0.5), clips=10, raters=12, pairs=10, rater_sd=0, clip_sd=0)
    apart = SimulatedStudy((0.5, -0.5), clips=10, raters=12, pairs=10, rater_sd=2.5, clip_sd=0)

    def width(study: SimulatedStudy) -> float:
        votes = study.votes(5)
        ends = two_way_intervals(lambda w: strengths_of(votes, 2, w), votes.rater, votes.clip, draws=200)
        return ends[0][1] - ends[0][0]

    assert width(apart) > 1.5 * width(plain)
    votes = plain.votes(0)
    alone = np.zeros_like(votes.rater)
    assert two_way_intervals(lambda w: strengths_of(votes, 2, w), alone, votes.clip) == [None, None]
