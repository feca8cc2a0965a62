"""Conversion of mediapipe's holistic landmarks to COCO-WholeBody keypoints.

mediapipe returns 33 body landmarks, 21 per hand and a mesh of 468 (refined: 478) face landmarks, normalised
by the width and height of the picture. Its left hand is the person's left hand, and its hand landmarks are in
the order of COCO-WholeBody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.pose.keypoints import BODY, FACE, FEET, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND, PoseError

# Index of mediapipe's landmark for each of COCO's 17 body points.
BODY_FROM_POSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
# Index for each of the 6 foot points; `foot_index` is the big toe, the small toe has no landmark.
FEET_FROM_POSE = (31, None, 29, 32, None, 30)
# Vertex of the face mesh for each of iBUG's 68 points: the common map, except for the outer ends of the brows
# and the upper jaw, which starts at the height of the eyes as in iBUG.
FACE_FROM_MESH = (
    *(127, 234, 93, 132, 58, 136, 149, 148, 152, 377, 378, 365, 288, 361, 323, 454, 356),  # jaw
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows, from the person's right to the left
    *(168, 197, 5, 4, 240, 97, 2, 326, 460),  # nose: bridge, base
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes, right then left
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
NUM_POSE_LANDMARKS = 33
NUM_HAND_LANDMARKS = 21
NUM_MESH_LANDMARKS = (468, 478)


def from_holistic(results: Any) -> npt.NDArray[np.float32]:
    """Convert a `mediapipe.solutions.holistic` result to COCO-WholeBody keypoints.

    The confidence of body and feet is mediapipe's visibility. Face and hand landmarks have no score of their
    own, because mediapipe returns a complete face or hand or none; their confidence is 1. Points outside the
    picture, and points that mediapipe does not have, are zeros.

    Args:
        results: has `pose_landmarks`, `face_landmarks`, `left_hand_landmarks` and `right_hand_landmarks`,
            each None or with a sequence `landmark` of objects with x, y (and visibility, for the body).

    Returns:
        float32 (133, 3): x, y in [0, 1] of the picture, confidence in [0, 1].

    Raises:
        PoseError: a part has an unexpected number of landmarks.
    """
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    if results.pose_landmarks is not None:
        pose = _points("pose", results.pose_landmarks.landmark, (NUM_POSE_LANDMARKS,), scored=True)
        keypoints[BODY] = pose[list(BODY_FROM_POSE)]
        for row, landmark in enumerate(FEET_FROM_POSE, start=FEET.start):
            if landmark is not None:
                keypoints[row] = pose[landmark]
    if results.face_landmarks is not None:
        mesh = _points("face", results.face_landmarks.landmark, NUM_MESH_LANDMARKS, scored=False)
        keypoints[FACE] = mesh[list(FACE_FROM_MESH)]
    for part, rows, hand in (
        ("left hand", LEFT_HAND, results.left_hand_landmarks),
        ("right hand", RIGHT_HAND, results.right_hand_landmarks),
    ):
        if hand is not None:
            keypoints[rows] = _points(part, hand.landmark, (NUM_HAND_LANDMARKS,), scored=False)
    return keypoints


def _points(
    part: str, landmarks: Sequence[Any], counts: tuple[int, ...], *, scored: bool
) -> npt.NDArray[np.float32]:
    """Return landmarks as (N, 3): x, y, confidence, with zeros outside the picture."""
    if len(landmarks) not in counts:
        expected = " or ".join(map(str, counts))
        raise PoseError(f"{part}: {len(landmarks)} landmarks: give a holistic result with {expected}")
    points = np.array([(p.x, p.y, p.visibility if scored else 1.0) for p in landmarks], np.float32)
    xy = points[:, :2]
    points[~((xy >= 0) & (xy <= 1)).all(axis=1)] = 0
    # Points of visibility 0 have no position.
    points[points[:, 2] <= 0] = 0
    return points
