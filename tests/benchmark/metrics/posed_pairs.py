"""Pairs of frames with given poses, for metrics that only read the feature `pose`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.metrics import CaseShape, Metric
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

Poses = npt.NDArray[np.float32]

CASE = CaseShape("clip", Fraction(25), 512, 256, 0)


class GivenPoses:
    """The feature `pose` with given poses, (T, 133, 3) for each side."""

    def __init__(self, real: Poses, generated: Poses) -> None:
        self._poses = {"real": real, "generated": generated}

    def extract(self, window: PairWindow, side: str, back: int) -> Any:
        return self._poses[side][window.t - back]


def person(frames: int = 6, seed: int = 0) -> Poses:
    """Return a moving person: all 133 points present, away from the edges."""
    generator = np.random.default_rng(seed)
    poses = np.empty((frames, 133, 3), np.float32)
    poses[..., :2] = generator.uniform(0.3, 0.6, (frames, 133, 2))
    poses[..., 2] = 1
    # Shoulders a quarter of the width apart: 128 pixels of 512.
    poses[:, 5, :2], poses[:, 6, :2] = (0.625, 0.5), (0.375, 0.5)
    return poses


def score(
    metric: Metric, real: Poses, generated: Poses, case: CaseShape = CASE
) -> tuple[CaseScore, Sequence[float | None]]:
    """Return the score of a clip with these poses, and of each frame."""
    extractor: Any = GivenPoses(real, generated)
    window = PairWindow(0, extractors={"pose": extractor})
    state = metric.start(case)
    blank = np.zeros((case.height, case.width, 3), np.uint8)
    scores = []
    for _ in real:
        window.push(blank, blank)
        scores.append(state.update(window))
    return state.finish(), scores
