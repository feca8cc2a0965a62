"""Mean and standard deviation of each colour channel of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import FeatureSpec

if TYPE_CHECKING:
    from benchmark.metrics.window import PairWindow, Side


class ColourStatistics:
    """Moments of the channels."""

    spec = FeatureSpec(
        id="colour",
        version=1,
        definition="Mean and standard deviation (biased) of each RGB channel over all pixels, uint8 values.",
    )

    def extract(self, window: PairWindow, side: Side, back: int) -> npt.NDArray[np.float64]:
        """float64 (2, 3): means, then standard deviations, of red, green and blue, in levels of 0 to 255."""
        import cv2

        mean, deviation = cv2.meanStdDev(window.image(side, back))
        return np.stack([mean[:, 0], deviation[:, 0]])
