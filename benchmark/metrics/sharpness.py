"""Sharpness drift: variance of the Laplacian next to that of the real frame or the portrait."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.frame_mean import FrameMean


@dataclass(frozen=True)
class Sharpness:
    """Log ratio of the variance of the Laplacian, frame by frame.

    Args:
        target: `real`, the frame of the same time, or `reference`, the portrait.
    """

    target: Literal["real", "reference"] = "real"

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        portrait = self.target == "reference"
        return MetricSpec(
            id="portrait_sharpness" if portrait else "sharpness",
            title=f"Sharpness relative to the {'portrait' if portrait else 'real frame'}",
            version=1,
            unit="log2",
            direction="none",
            scope="frame",
            lookback=0,
            definition=(
                f"Mean over frames of log2((V(g) + 1) / (V({'p' if portrait else 'r'}) + 1)), "
                f"{'p the portrait, ' if portrait else ''}V the variance of the Laplacian of the grey frame "
                f"(feature laplacian). 0: as sharp as the {'portrait' if portrait else 'real frame'}; below "
                "0: blurred; above 0: noisy or sharpened. Its slope over time is the sharpness drift."
            ),
            source=(
                "own; sharpness with the portrait in place of the real frame"
                if portrait
                else "own; variance of the Laplacian after Pech-Pacheco et al., ICPR 2000"
            ),
            blind_spots=(
                "motion blur, which a true video has and a portrait may not have; noise, ringing and blocks, "
                "which count as sharpness; a frozen video is perfect"
                if portrait
                else "noise, ringing and blocks count as sharpness and can compensate blur"
            ),
            features=("laplacian",),
            target=0.0,
            needs_real=not portrait,
        )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, self._score, without="the clip has no frame")

    def _score(self, window: FrameWindow) -> float:
        target, generated = window.feature("laplacian", self.target), window.feature("laplacian", "generated")
        return math.log2((generated + 1) / (target + 1))


# Sharpness next to the portrait.
TO_PORTRAIT = (Sharpness("reference"),)
