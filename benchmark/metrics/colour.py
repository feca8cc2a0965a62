"""Colour drift: how far mean and contrast of the colour channels are from the real frame's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.metrics.frame_mean import FrameMean
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow

VERSION = 1
_WORDS = {"mean": "mean", "std": "standard deviation"}


@dataclass(frozen=True)
class ColourDifference:
    """Difference of one moment of the channels, frame by frame."""

    moment: Literal["mean", "std"]

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        word = _WORDS[self.moment]
        return MetricSpec(
            id=f"colour.{self.moment}",
            version=VERSION,
            unit="level",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"Mean over frames and RGB channels of |{self.moment}(g) - {self.moment}(r)|, {self.moment} "
                f"the {word} of a channel over all pixels of a frame, uint8 values. Range 0 to 255. Its "
                "slope over time is the colour drift."
            ),
            source="own",
            blind_spots=(
                "sign and channel of the difference; where in the frame it is: a picture may change wholly "
                f"and keep its {word}"
            ),
            features=("colour",),
        )

    def start(self, case: CaseShape) -> FrameMean:
        """A fresh state for one clip."""
        return FrameMean(self.spec, self._score, without="the clip has no frame")

    def _score(self, window: PairWindow) -> float:
        row = 0 if self.moment == "mean" else 1
        real, generated = window.feature("colour", "real"), window.feature("colour", "generated")
        return float(np.abs(generated[row] - real[row]).mean())
