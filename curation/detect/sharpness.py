"""Sharpness of a part of a picture, independent of size, contrast and brightness."""

from __future__ import annotations

import numpy as np

from curation.detect.measurements import Luma

# Side of the patch, in pixels. Faces and hands of usual footage are larger, so all are compared at one scale.
PATCH = 64
# A variance below this, in squared levels of 255, is noise of a flat area.
_MIN_VARIANCE = 4.0


def sharpness(luma: Luma) -> float:
    """Energy of the Laplacian per variance of brightness, after resizing to 64 x 64 pixels.

    The variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) measures focus. Dividing it by the variance
    of the picture makes it independent of light and contrast, the fixed size independent of resolution. White
    noise gives about 20, a face in focus 0.05 to 1, a face blurred by a tenth of its height 0.01.

    Args:
        luma: uint8 (H, W), cut out of the picture at its own resolution.

    Returns:
        0 for a flat or an empty part.
    """
    import cv2

    if min(luma.shape, default=0) < 2:
        return 0.0
    smaller = min(luma.shape) >= PATCH
    patch = cv2.resize(
        luma, (PATCH, PATCH), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    ).astype(np.float32)
    variance = float(patch.var())
    if variance < _MIN_VARIANCE:
        return 0.0
    return float(np.asarray(cv2.Laplacian(patch, cv2.CV_32F, ksize=1))[1:-1, 1:-1].var()) / variance
