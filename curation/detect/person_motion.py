"""What moves of itself: changes of a person that no camera over a still picture explains."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.detect.measurements import Box

Gray = npt.NDArray[np.uint8]

_CORNERS, _QUALITY, _APART = 200, 0.01, 4  # pixels apart
_MIN_CORNERS = 8
_STRAY_PX = 1.0
_GRAIN = 4  # pixels: means over so many leave noise of the encoder out
_PERCENTILE = 95
_FLAT = 4.0  # levels of 255: the contrast of a part that has none


class PersonMotion:
    """Compares a look with the one before, about a second earlier. For one video, in order."""

    def __init__(self) -> None:
        self._before: Gray | None = None

    def __call__(self, gray: Gray, person: Box | None) -> float | None:
        """Change of the person, in standard deviations of its brightness; None at the first look.

        The earlier picture is laid over this one as a camera would move it (turned, scaled, moved; by corners
        that agree), and what still differs in the person's box is taken at its 95th percentile: some part of
        a speaker always moves, be it the mouth. Measured: 0.02 for a still picture with noise, 0.05 for one
        that is zoomed, 0.1 to 0.5 for someone who listens, 0.3 to 2 for speakers.

        Args:
            gray: uint8 (H, W), about 256 pixels wide.
            person: None where there is nobody.
        """
        import cv2

        before, self._before = self._before, gray
        if before is None or before.shape != gray.shape or person is None:
            return None
        height, width = gray.shape
        moved = cv2.warpAffine(
            before, _camera(before, gray), (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        rows = slice(max(int(person.y0 * height), 0), max(int(np.ceil(person.y1 * height)), 1))
        columns = slice(max(int(person.x0 * width), 0), max(int(np.ceil(person.x1 * width)), 1))
        one, other = (
            np.asarray(cv2.blur(picture, (_GRAIN, _GRAIN)), np.float64)[rows, columns]
            for picture in (moved, gray)
        )
        if not one.size:
            return None
        return float(np.percentile(np.abs(one - other), _PERCENTILE)) / max(float(other.std()), _FLAT)


def _camera(before: Gray, after: Gray) -> npt.NDArray[np.float64]:
    """How the camera moved, as a matrix (2, 3); stood still, where too few corners say anything."""
    import cv2

    still = np.eye(2, 3)
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, _QUALITY, _APART)
    if corners is None or len(corners) < _MIN_CORNERS:
        return still
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)
    known = np.asarray(status).ravel() == 1
    if known.sum() < _MIN_CORNERS:
        return still
    matrix, _ = cv2.estimateAffinePartial2D(
        corners[known], found[known], method=cv2.RANSAC, ransacReprojThreshold=_STRAY_PX
    )
    return still if matrix is None else np.asarray(matrix, np.float64)
