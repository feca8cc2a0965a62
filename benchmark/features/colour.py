"""Mean and standard deviation of each colour channel of a frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureSpec, FrameWindow, Side


class ColourStatistics:
    """Mean and standard deviation of red, green and blue."""

    spec = FeatureSpec(
        id="colour",
        version=1,
        definition="Mean and standard deviation (biased) of each RGB channel over all pixels, uint8 values.",
    )

    def extract(self, window: FrameWindow, side: Side, back: int) -> npt.NDArray[np.float64]:
        """Return float64 (2, 3): means, then standard deviations, of the channels, in levels of 0 to 255."""
        import cv2

        mean, deviation = cv2.meanStdDev(window.image(side, back))
        return np.stack([mean[:, 0], deviation[:, 0]])
