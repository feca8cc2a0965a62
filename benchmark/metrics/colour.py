"""Colour drift: difference of mean and contrast of the colour channels to the real frame or the portrait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.frame_mean import FrameMean

Moment = Literal["mean", "std"]
_WORDS = {"mean": "mean", "std": "standard deviation"}


@dataclass(frozen=True)
class ColourDifference:
    """Difference of one moment of the channels, frame by frame.

    Args:
        moment: `mean`, or `std` for the contrast.
        target: `real`, the frame of the same time, or `reference`, the portrait.
    """

    moment: Moment
    target: Literal["real", "reference"] = "real"

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        portrait = self.target == "reference"
        other = "p" if portrait else "r"
        return MetricSpec(
            id=f"{'portrait_' if portrait else ''}colour.{self.moment}",
            title=f"Colour and contrast relative to the {'portrait' if portrait else 'real frame'}",
            version=1,
            unit="level",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"Mean over frames and RGB channels of |{self.moment}(g) - {self.moment}({other})|, "
                f"{'p the portrait, ' if portrait else ''}{self.moment} the {_WORDS[self.moment]} of a "
                "channel over all pixels of a frame, uint8 values. Range 0 to 255. Its slope over time is "
                "the colour drift."
            ),
            source="own; colour with the portrait in place of the real frame" if portrait else "own",
            blind_spots=(
                "a true video changes too, as hands come into view: it does not reach 0, and a frozen video "
                "does; sign, channel and place of the difference"
                if portrait
                else "sign, channel and place of the difference: a picture can change completely and keep "
                f"its {_WORDS[self.moment]}"
            ),
            features=("colour",),
            needs_real=not portrait,
        )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, self._score, without="the clip has no frame")

    def _score(self, window: FrameWindow) -> float:
        row = 0 if self.moment == "mean" else 1
        target, generated = window.feature("colour", self.target), window.feature("colour", "generated")
        return float(np.abs(generated[row] - target[row]).mean())


# Mean and contrast next to the real frame.
TO_REAL = (ColourDifference("mean"), ColourDifference("std"))


# Mean and contrast next to the portrait.
TO_PORTRAIT = (ColourDifference("mean", "reference"), ColourDifference("std", "reference"))
