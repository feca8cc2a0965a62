"""Detector of person motion: changes that no camera move over a still picture explains."""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.detect.measurements import Box, FloatArray, Luma

# Corners to track: largest number, quality, and distance in pixels (cv2.goodFeaturesToTrack).
_CORNERS, _QUALITY, _MIN_DISTANCE = 200, 0.01, 4
_MIN_CORNERS = 8
_MAX_ERROR_PX = 1.0  # RANSAC
_BLUR = 4  # pixels: averages out encoder noise
_PERCENTILE = 95
_MIN_CONTRAST = 4.0  # levels of 255: lower bound of the standard deviation


class PersonMotion:
    """Compares each frame with the one before, about a second earlier. One instance per video."""

    def __init__(self) -> None:
        self._before: Luma | None = None

    def __call__(self, gray: Luma, person: Box | None) -> float | None:
        """Change of the person in standard deviations of the person's brightness.

        The earlier frame is aligned by a similarity transform fitted to corners. The 95th percentile of the
        remaining difference in the person's box is measured, because some part of a speaker always moves.
        Measured values: 0.02 for a noisy still, 0.05 for a zoomed still, 0.1 to 0.5 for listeners, 0.3 to 2
        for speakers.

        Args:
            gray: uint8 (H, W), about 256 pixels wide.
            person: Box of the person; None if there is nobody.

        Returns:
            None for the first frame and without a person.
        """
        import cv2

        before, self._before = self._before, gray
        if before is None or before.shape != gray.shape or person is None:
            return None
        height, width = gray.shape
        aligned = cv2.warpAffine(
            before, _camera_motion(before, gray), (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        rows = slice(max(int(person.y0 * height), 0), max(int(np.ceil(person.y1 * height)), 1))
        columns = slice(max(int(person.x0 * width), 0), max(int(np.ceil(person.x1 * width)), 1))
        one, other = (
            np.asarray(cv2.blur(picture, (_BLUR, _BLUR)), np.float64)[rows, columns]
            for picture in (aligned, gray)
        )
        if not one.size:
            return None
        return float(np.percentile(np.abs(one - other), _PERCENTILE)) / max(float(other.std()), _MIN_CONTRAST)


def _camera_motion(before: Luma, after: Luma) -> FloatArray:
    """Similarity transform (2, 3) of the camera; the identity if too few corners are found."""
    import cv2

    still: FloatArray = np.eye(2, 3)
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, _QUALITY, _MIN_DISTANCE)
    if corners is None or len(corners) < _MIN_CORNERS:
        return still
    no_guess: Any = None  # missing in the stubs
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, no_guess)
    known = np.asarray(status).ravel() == 1
    if known.sum() < _MIN_CORNERS:
        return still
    matrix, _ = cv2.estimateAffinePartial2D(
        corners[known], found[known], method=cv2.RANSAC, ransacReprojThreshold=_MAX_ERROR_PX
    )
    return still if matrix is None else np.asarray(matrix, np.float64)
