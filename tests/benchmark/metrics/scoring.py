"""Videos for tests of metrics, and their scores."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from benchmark.metrics import CaseShape, Metric
from benchmark.metrics.scoring import Scoring
from benchmark.results import CaseScore

Frames = np.ndarray


def score(
    metric: Metric,
    real: Frames,
    generated: Frames,
    *,
    keypoints: np.ndarray | None = None,
    window: int | None = 1,
) -> tuple[CaseScore, list[float]]:
    """Return the score of the clip and of each frame (NaN where there is none) of two videos (T, H, W, 3).

    `keypoints` (133, 3) hold for every frame.
    """
    shape = CaseShape("clip", Fraction(25), real.shape[2], real.shape[1], len(real), window)
    scoring = Scoring(shape, real[0], [metric])
    for pair in zip(real, generated, strict=True):
        scoring.window.push(*pair, keypoints)
        scoring.score()
    scores, _ = scoring.finish()
    return scores[metric.spec.id], list(scoring.scores.get(metric.spec.id, ()))


def texture(seed: int, height: int = 96, width: int = 112) -> Frames:
    """Return a smooth random picture over the whole range, uint8 (H, W, 3)."""
    import cv2

    noise = np.random.default_rng(seed).uniform(-1, 1, (height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return (128 + 100 * smooth / np.abs(smooth).max()).astype(np.uint8)


def panned(seed: int, frames: int = 6, step: tuple[int, int] = (2, 1)) -> Frames:
    """Return a camera pan of `step` (x, y) pixels per frame over a picture, uint8 (T, 96, 112, 3)."""
    picture = texture(seed, 96 + frames * step[1] + 8, 112 + frames * step[0] + 8)
    return np.stack(
        [picture[t * step[1] : t * step[1] + 96, t * step[0] : t * step[0] + 112] for t in range(frames)]
    )
