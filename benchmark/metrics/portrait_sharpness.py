"""Sharpness drift from the portrait: the variance of the Laplacian next to the portrait's."""

from __future__ import annotations

import math

from benchmark.metrics.frame_mean import FrameMean
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow


class PortraitSharpness:
    """Log ratio of the Laplacian's variance to the portrait's, frame by frame."""

    spec = MetricSpec(
        id="portrait_sharpness",
        version=1,
        unit="log2",
        direction="none",
        scope="frame",
        lookback=0,
        definition=(
            "Mean over frames of log2((V(g) + 1) / (V(p) + 1)), p the portrait, V the variance of the "
            "Laplacian of the grey frame (feature laplacian). 0: as sharp as the portrait; below: blurred; "
            "above: noisy or sharpened. Its slope over time is the sharpness drift."
        ),
        source="own; sharpness with the portrait in the place of the real frame",
        blind_spots=(
            "motion blur, which a true video has and a portrait may not; noise, ringing and blocks count as "
            "sharpness; a frozen video is perfect"
        ),
        features=("laplacian",),
        target=0.0,
        needs_real=False,
    )

    def start(self, case: CaseShape) -> FrameMean:
        """A fresh state for one clip."""
        return FrameMean(self.spec, _score, without="the clip has no frame")


def _score(window: PairWindow) -> float:
    portrait, generated = window.feature("laplacian", "reference"), window.feature("laplacian", "generated")
    return math.log2((generated + 1) / (portrait + 1))
