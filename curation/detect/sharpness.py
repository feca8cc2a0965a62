"""How much detail a part of a picture holds, whatever its size, contrast and brightness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Faces and hands of usual footage have more pixels than this, so all of them are compared at the same scale.
PATCH = 64
# Below this variance, in squared levels of 255, there is nothing to be sharp.
_FLAT = 4.0


def sharpness(luma: npt.NDArray[np.uint8]) -> float:
    """Energy of the Laplacian per variance of brightness, of the part brought to 64 x 64 pixels.

    The variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) measures focus; divided by the variance
    of the picture it does not depend on light and contrast, and at one size not on resolution. White noise
    gives about 20, a face in focus 0.05 to 1, one that is blurred by a tenth of its height 0.01.

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
    if variance < _FLAT:
        return 0.0
    return float(np.asarray(cv2.Laplacian(patch, cv2.CV_32F, ksize=1))[1:-1, 1:-1].var()) / variance
