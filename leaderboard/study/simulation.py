"""Simulated raters, to plan a study: how many votes it takes. Their votes are never a result."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leaderboard.study.design import balanced_pairs
from leaderboard.study.votes import Tally

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedStudy:
    """Raters who vote by the model of Davidson, with tastes of their own.

    Attributes:
        strengths: strength of each contestant.
        log_nu: readiness for ties; -1 gives about 16 % of them between equals.
        clips: number of clips.
        raters: number of raters.
        pairs: pairs for each rater.
        rater_sd: standard deviation of the strengths that a rater sees.
        clip_sd: standard deviation of the strengths on a clip.
    """

    strengths: Sequence[float]
    clips: int
    raters: int
    pairs: int
    log_nu: float = -1.0
    rater_sd: float = 0.3
    clip_sd: float = 0.5

    def votes(self, seed: int) -> Tally:
        """Draw the votes of all raters."""
        draw = np.random.default_rng(seed)
        number = len(self.strengths)
        plan = balanced_pairs(number, self.clips, self.raters, self.pairs, random.Random(seed))
        by_rater = draw.normal(0, self.rater_sd, (self.raters, number))
        by_clip = draw.normal(0, self.clip_sd, (self.clips, number))
        rows = [
            (rater, pair.clip, *sorted((pair.left, pair.right)))
            for rater, own in enumerate(plan)
            for pair in own
        ]
        rater, clip, first, second = np.array(rows, np.int64).T
        seen = np.asarray(self.strengths)[None, :] + by_rater[rater] + by_clip[clip]
        index = np.arange(len(rater))
        gap = seen[index, first] - seen[index, second]
        odds = np.stack([np.exp(gap / 2), np.exp(-gap / 2), np.full_like(gap, np.exp(self.log_nu))], axis=1)
        limits = np.cumsum(odds, axis=1) / odds.sum(axis=1, keepdims=True)
        outcome = (draw.random(len(gap))[:, None] > limits[:, :2]).sum(axis=1)
        return Tally(rater, clip, first, second, outcome.astype(np.int64))
