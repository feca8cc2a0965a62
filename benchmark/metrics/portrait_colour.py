"""Colour drift from the portrait: how far mean and contrast of the colour channels have moved away."""

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
class PortraitColour:
    """Difference of one moment of the channels to the portrait, frame by frame."""

    moment: Literal["mean", "std"]

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        word = _WORDS[self.moment]
        return MetricSpec(
            id=f"portrait_colour.{self.moment}",
            version=VERSION,
            unit="level",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"Mean over frames and RGB channels of |{self.moment}(g) - {self.moment}(p)|, p the "
                f"portrait, {self.moment} the {word} of a channel over all pixels of a frame, uint8 values. "
                "Range 0 to 255. Its slope over time is the colour drift."
            ),
            source="own; colour with the portrait in the place of the real frame",
            blind_spots=(
                "that a true video changes too, as hands come into view: not 0 at best, and 0 for a frozen "
                "one; sign, channel and place of the difference"
            ),
            features=("colour",),
            needs_real=False,
        )

    def start(self, case: CaseShape) -> FrameMean:
        """A fresh state for one clip."""
        return FrameMean(self.spec, self._score, without="the clip has no frame")

    def _score(self, window: PairWindow) -> float:
        row = 0 if self.moment == "mean" else 1
        portrait, generated = window.feature("colour", "reference"), window.feature("colour", "generated")
        return float(np.abs(generated[row] - portrait[row]).mean())
