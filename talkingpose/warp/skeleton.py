"""Parts of the body that the puppet moves, as rows of the 133 COCO-WholeBody points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.pose.keypoints import FACE, FEET, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from talkingpose.warp.geometry import Points

NOSE = 0
HEAD = tuple(range(5))
EARS = (3, 4)
SHOULDERS = (5, 6)
HIPS = (11, 12)
TORSO = (*SHOULDERS, *HIPS)
FACE_ROWS = tuple(range(FACE.start, FACE.stop))
CHIN = FACE.start + 8
# Inner lips: corners, middle of the upper and of the lower lip.
INNER_LIPS = tuple(range(FACE.start + 60, FACE.start + 68))
# mediapipe's visibility of a hidden or guessed joint is below this; DWPose draws from 0.3 too.
MIN_CONFIDENCE = 0.3

_DETAIL = np.zeros(NUM_KEYPOINTS, bool)
_DETAIL[FEET.stop :] = True


@dataclass(frozen=True)
class Arm:
    """Rows of an arm."""

    shoulder: int
    elbow: int
    wrist: int
    hand: tuple[int, ...]


ARMS = (
    Arm(5, 7, 9, tuple(range(LEFT_HAND.start, LEFT_HAND.stop))),
    Arm(6, 8, 10, tuple(range(RIGHT_HAND.start, RIGHT_HAND.stop))),
)


def present(keypoints: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return the points of (133, 3) that are certain enough to move a layer."""
    confidence = keypoints[:, 2]
    return np.asarray(np.where(_DETAIL, confidence > 0, confidence >= MIN_CONFIDENCE))


def body_size(points: Points, shown: npt.NDArray[np.bool_], frame_height: int) -> float:
    """Return a length in pixels like the width of the shoulders, for persons seen from the side as well.

    Args:
        points: (133, 2) in pixels.
        shown: (133,), the points that count.
        frame_height: used if nothing else is known.
    """
    lengths = []
    if shown[list(SHOULDERS)].all():
        lengths.append(float(np.hypot(*(points[5] - points[6]))))
    if shown[list(TORSO)].all():
        spine = points[list(SHOULDERS)].mean(axis=0) - points[list(HIPS)].mean(axis=0)
        lengths.append(0.65 * float(np.hypot(*spine)))
    if shown[list(FACE_ROWS)].all():
        lengths.append(1.9 * float(np.hypot(*(points[FACE.start] - points[FACE.start + 16]))))
    return max([*lengths, 0.02 * frame_height]) if lengths else 0.3 * frame_height
