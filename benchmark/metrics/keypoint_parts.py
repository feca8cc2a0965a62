"""Body, face and hands of a pose, which of their points are there, and how wide the shoulders are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from benchmark.metrics.metric import CaseShape

# The rows of COCO-WholeBody's 133; hands are left, then right.
PARTS: Mapping[str, slice] = {"body": slice(0, 17), "face": slice(23, 91), "hands": slice(91, 133)}
HANDS: Mapping[str, slice] = {"left": slice(91, 112), "right": slice(112, 133)}
WRISTS: Mapping[str, int] = {"left": 9, "right": 10}
SHOULDERS = (5, 6)

# mediapipe gives a visibility for points of the body and 1 for every point of a face or hand it finds.
PRESENT_FROM = 0.5
# Pixels are counted as if the longer side of the frame had this many.
LONGER_SIDE = 512

DETECTED = (
    "Keypoints by mediapipe holistic on real and generated frames alike; a point is there where its "
    f"confidence is {PRESENT_FROM} or more. "
)

TARGETED = (
    "Keypoints by mediapipe holistic on the generated frames, next to the driving pose that the contestant "
    f"was given; a point is there where its confidence is {PRESENT_FROM} or more. "
)

Keypoints = npt.NDArray[np.float32]


def present(keypoints: Keypoints) -> npt.NDArray[np.bool_]:
    """Which points of (N, 3) keypoints are there: bool (N,)."""
    return np.asarray(keypoints[:, 2] >= PRESENT_FROM)


def pixels(keypoints: Keypoints, case: CaseShape) -> npt.NDArray[np.float64]:
    """Places of (N, 3) keypoints: float64 (N, 2), x and y in pixels of a frame of longer side 512."""
    size = np.array([case.width, case.height], np.float64)
    return np.asarray(keypoints[:, :2].astype(np.float64) * size * (LONGER_SIDE / size.max()))


def shoulder_width(keypoints: Keypoints, case: CaseShape) -> float | None:
    """Distance of the shoulders of (133, 3) keypoints, in pixels as `pixels`; None where one is not there."""
    shoulders = keypoints[list(SHOULDERS)]
    if not present(shoulders).all():
        return None
    left, right = pixels(shoulders, case)
    width = float(np.linalg.norm(left - right))
    return width if width > 0 else None
