"""Coverage and power of `tp-leaderboard votes` by simulated raters, for docs/how-to/run-a-study.md.

python tools/simulate_votes.py coverage --studies 300
python tools/simulate_votes.py power --studies 200
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np

from leaderboard.study.bradley_terry import pair_indices
from leaderboard.study.intervals import two_way_intervals
from leaderboard.study.simulation import SimulatedStudy
from leaderboard.study.votes import strengths_of

STRENGTHS = (-0.8, -0.2, 0.2, 0.8)


def gaps(study: SimulatedStudy, seed: int, draws: int = 200) -> tuple[np.ndarray, list]:
    """Differences of strengths of all pairs, and their intervals."""
    votes = study.votes(seed)
    number = len(study.strengths)
    one, other = pair_indices(number)

    def statistic(weights: np.ndarray) -> np.ndarray:
        fitted = strengths_of(votes, number, weights)
        return fitted[:, one] - fitted[:, other]

    estimate = statistic(np.ones((1, len(votes.outcome))))[0]
    return estimate, two_way_intervals(statistic, votes.rater, votes.clip, draws=draws, seed=seed)


def truth(study: SimulatedStudy) -> np.ndarray:
    """Differences of strengths that a study of many raters and clips finds."""
    large = SimulatedStudy(study.strengths, 2000, 2000, 60, study.log_nu, study.rater_sd, study.clip_sd)
    votes = large.votes(999)
    fitted = strengths_of(votes, len(study.strengths), np.ones((1, len(votes.outcome))))[0]
    one, other = pair_indices(len(study.strengths))
    return fitted[one] - fitted[other]


def coverage(studies: int) -> None:
    """Print the share of 95 % intervals that hold the true difference."""
    print("| raters | clips | pairs for each | coverage | mean width |\n|---|---|---|---|---|")
    for raters, clips, pairs in ((8, 8, 24), (20, 12, 24), (20, 40, 24), (50, 12, 24)):
        study = SimulatedStudy(STRENGTHS, clips, raters, pairs)
        true = truth(study)
        held, widths = [], []
        for seed in range(studies):
            _, ends = gaps(study, seed)
            held += [low <= value <= high for value, (low, high) in zip(true, ends, strict=True)]
            widths += [high - low for low, high in ends]
        print(f"| {raters} | {clips} | {pairs} | {np.mean(held):.3f} | {np.mean(widths):.2f} |", flush=True)


def power(studies: int) -> None:
    """Print the share of studies whose interval of the difference of two contestants leaves out 0."""
    print("| share of wins | raters | clips | votes for the pair | power |\n|---|---|---|---|---|")
    for share, (raters, clips) in itertools.product(
        (0.6, 0.7, 0.8), ((10, 12), (20, 12), (40, 12), (40, 40))
    ):
        gap = float(np.log(share / (1 - share)))
        study = SimulatedStudy((gap / 2, -gap / 2, 0.0), clips, raters, 24)
        found = [
            ends[0] is not None and ends[0][0] > 0 for _, ends in (gaps(study, s) for s in range(studies))
        ]
        print(f"| {share:.0%} | {raters} | {clips} | {raters * 8} | {np.mean(found):.2f} |", flush=True)


def main() -> None:
    """Run one simulation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("coverage", "power"))
    parser.add_argument("--studies", type=int, default=200)
    given = parser.parse_args()
    {"coverage": coverage, "power": power}[given.what](given.studies)


if __name__ == "__main__":
    main()
