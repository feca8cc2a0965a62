"""Sharpness drift: the variance of the Laplacian next to the real frame's."""

from __future__ import annotations

import math

from benchmark.metrics.frame_mean import FrameMean
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow


class Sharpness:
    """Log ratio of the Laplacian's variance, frame by frame."""

    spec = MetricSpec(
        id="sharpness",
        version=1,
        unit="log2",
        direction="none",
        scope="frame",
        lookback=0,
        definition=(
            "Mean over frames of log2((V(g) + 1) / (V(r) + 1)), V the variance of the Laplacian of the grey "
            "frame (feature laplacian). 0: as sharp as the real frame; below: blurred; above: noisy or "
            "sharpened. Its slope over time is the sharpness drift."
        ),
        source="own; variance of the Laplacian after Pech-Pacheco et al., ICPR 2000",
        blind_spots="noise, ringing and blocks count as sharpness, and may make up for blur",
        features=("laplacian",),
        target=0.0,
    )

    def start(self, case: CaseShape) -> FrameMean:
        """A fresh state for one clip."""
        return FrameMean(self.spec, _score, without="the clip has no frame")


def _score(window: PairWindow) -> float:
    real, generated = window.feature("laplacian", "real"), window.feature("laplacian", "generated")
    return math.log2((generated + 1) / (real + 1))
