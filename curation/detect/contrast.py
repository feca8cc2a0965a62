"""Contrast of a part of a picture in levels that its noise leaves distinguishable."""

from __future__ import annotations

import numpy as np

from curation.detect.measurements import Luma

# Immerkaer's operator: blind to constant and linear parts of a picture. Its response to white noise of
# standard deviation s has the median absolute value 6 s 0.6745.
_OPERATOR = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_MEDIAN_PER_NOISE = 6 * 0.6745
_PERCENTILES = (5, 95)


def distinguishable_levels(luma: Luma) -> float:
    """Range of brightness (5th to 95th percentile) in levels of 255, per noise above 1 level.

    A dark skin on a lit stage has the contrast of a light one; a face that is too dark has lost its levels.
    Noise is estimated by Immerkaer's method (Computer Vision and Image Understanding, 1996) with the median
    instead of the mean, because edges raise the mean.

    Args:
        luma: uint8 (H, W), cut out of the picture at its own resolution.

    Returns:
        0 for an empty part.
    """
    import cv2

    if min(luma.shape, default=0) < 4:
        return 0.0
    low, high = np.percentile(luma, _PERCENTILES)
    response = np.asarray(cv2.filter2D(luma.astype(np.float32), -1, _OPERATOR))[1:-1, 1:-1]
    noise = float(np.median(np.abs(response))) / _MEDIAN_PER_NOISE
    return float(high - low) / max(noise, 1.0)
