"""Variance of the Laplacian of a frame, a measure of its sharpness."""

from __future__ import annotations

from benchmark.features.contract import FeatureSpec, FrameWindow, Side


class LaplacianVariance:
    """Variance of the second derivatives of the grey frame."""

    spec = FeatureSpec(
        id="laplacian",
        version=1,
        definition=(
            "Variance over all pixels of the Laplacian (4 neighbours, border mirrored without the edge "
            "pixel) of the grey frame (OpenCV's cvtColor RGB2GRAY, uint8)."
        ),
    )

    def extract(self, window: FrameWindow, side: Side, back: int) -> float:
        """Return the variance, in squared levels."""
        import cv2

        grey = cv2.cvtColor(window.image(side, back), cv2.COLOR_RGB2GRAY)
        return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0]) ** 2
