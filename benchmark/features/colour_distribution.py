"""Distributions of colour of a frame, along five directions of RGB."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureSpec, FrameWindow, Side

Distribution = npt.NDArray[np.float64]

# Number of whole values along each direction: R, G, B, R - G + 255, R + G - 2 B + 510.
_VALUES = (256, 256, 256, 511, 1021)


class ColourDistribution:
    """Cumulative distributions of R, G, B, R - G and R + G - 2 B over all pixels."""

    spec = FeatureSpec(
        id="colour-distribution",
        version=1,
        definition=(
            "Cumulative distributions of R, G, B, R - G and R + G - 2 B over all pixels, one after another, "
            "from the histograms over whole values. The sum of absolute differences of two features is the "
            "sum of the Wasserstein-1 distances along the five directions, in levels."
        ),
    )

    def extract(self, window: FrameWindow, side: Side, back: int) -> Distribution:
        """Return the five cumulative distributions, float64 (2300,), each from 0 to 1."""
        red, green, blue = (
            channel.ravel().astype(np.int32) for channel in np.moveaxis(window.image(side, back), 2, 0)
        )
        lines = (red, green, blue, red - green + 255, red + green - 2 * blue + 510)
        return np.concatenate(
            [
                np.cumsum(np.bincount(line, minlength=size)) / line.size
                for line, size in zip(lines, _VALUES, strict=True)
            ]
        )
