"""Matte of the person in a portrait."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.estimator import quiet_stderr
from talkingpose.warp.geometry import Points

Mask = npt.NDArray[np.float32]

# Longer side at which the person is segmented; mediapipe works at 256.
_WORK_SIDE = 512
# Of the guided filter: radius as a share of the longer side, tolerance of squared levels in [0, 1].
_EDGE_RADIUS = 0.012
_EDGE_TOLERANCE = 1e-4


def person_matte(portrait: Image, points: Points) -> Mask:
    """Return the matte of the person, float32 (H, W) in [0, 1].

    mediapipe's selfie segmentation finds the person, a guided filter moves its border to the edges of the
    picture, and parts that touch none of the keypoints are dropped.

    Args:
        portrait: uint8 RGB (H, W, 3).
        points: (N, 2) in pixels, on the person.

    Source:
        He et al., Guided Image Filtering, ECCV 2010.
    """
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    height, width = portrait.shape[:2]
    scale = min(1.0, _WORK_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(portrait, size, interpolation=cv2.INTER_AREA) if scale < 1 else portrait
    with quiet_stderr(), SelfieSegmentation(model_selection=0) as segment:
        raw = np.asarray(segment.process(small).segmentation_mask, np.float32)
    radius = max(2, round(_EDGE_RADIUS * max(size)))
    guide = small.astype(np.float32) / 255
    refined = cv2.ximgproc.guidedFilter(guide, raw, radius, _EDGE_TOLERANCE)
    matte = np.clip((refined - 0.2) / 0.6, 0, 1)
    matte *= _touched(raw, points * scale)
    return np.asarray(cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _touched(raw: Mask, points: Points) -> Mask:
    """Return 1 around the connected parts of a mask that hold a point; all of it if none does."""
    count, labels = cv2.connectedComponents((raw > 0.3).astype(np.uint8))
    height, width = raw.shape
    x, y = np.rint(points).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    hit = set(np.unique(labels[y[inside], x[inside]])) - {0}
    if not hit or len(hit) == count - 1:
        return np.ones_like(raw)
    kept = np.isin(labels, list(hit)).astype(np.uint8)
    radius = max(2, round(_EDGE_RADIUS * max(raw.shape)))
    return cv2.dilate(kept, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)).astype(np.float32)
