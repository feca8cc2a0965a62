"""Remarks on a portrait that cannot be animated well: no person, several persons, a covered face."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from talkingpose.animate.driving_poses import Keypoints, enlarged
from talkingpose.io.image import Image
from talkingpose.pose.keypoints import FACE, LEFT_HAND, RIGHT_HAND

# A second face counts from this height, relative to the largest.
_SECOND_FACE = 0.4
_MIN_FACE_SCORE = 0.6
_CONFIDENCE = 0.3
# Points of a hand inside the outline of the face that make it covered.
_HAND_POINTS = 4
# Rows within the 68 face points: jaw, nose bridge, inner eye corners, outer lips.
_CHIN, _LIPS, _BETWEEN_EYES = (5, 6, 7, 8, 9, 10, 11), (54, 55, 56, 57, 58, 59, 48), (27, 28, 29, 39, 42)
# Distance of the colours of chin and nose bridge (chroma of CIE Lab) above which the chin is not skin.
_NOT_SKIN = 24.0


def portrait_remarks(portrait: Image, pose: Keypoints) -> list[str]:
    """Return what speaks against a portrait, each in a few words; empty for a good one.

    Args:
        portrait: uint8 RGB (H, W, 3).
        pose: its keypoints, (133, 3); zeros without a person.
    """
    if not (pose[:, 2] > 0).any():
        return ["no person found: give the upper body of one person"]
    remarks = []
    faces = count_faces(portrait)
    if faces > 1:
        remarks.append(f"{faces} persons: only one of them is animated; crop the picture to one")
    covered = covered_face(portrait, pose)
    if covered:
        remarks.append(f"{covered}: give a portrait that shows the whole face")
    return remarks


def count_faces(portrait: Image) -> int:
    """Return the number of faces, without small ones in the background."""
    from mediapipe.python.solutions.face_detection import FaceDetection

    from talkingpose.pose.estimator import quiet_stderr

    with quiet_stderr(), FaceDetection(model_selection=1, min_detection_confidence=_MIN_FACE_SCORE) as find:
        found = find.process(np.ascontiguousarray(enlarged(portrait))).detections or ()
    heights = [one.location_data.relative_bounding_box.height for one in found]
    return sum(height >= _SECOND_FACE * max(heights) for height in heights)


def covered_face(portrait: Image, pose: Keypoints) -> str | None:
    """Return what covers the face, in words; None for a free one or without a head."""
    height, width = portrait.shape[:2]
    if (pose[0:5, 2] >= _CONFIDENCE).sum() >= 2 and not (pose[FACE, 2] > 0).any():
        return "face covered or turned away"
    if not (pose[FACE, 2] > 0).all():
        return None
    face = pose[FACE, :2] * (width, height)
    if _hand_points(pose, face, width, height) >= _HAND_POINTS:
        return "hand in front of the face"
    if chin_distance(portrait, face) > _NOT_SKIN:
        return "mouth or chin covered"
    return None


def _hand_points(pose: Keypoints, face: npt.NDArray[np.float64], width: int, height: int) -> int:
    """Return the number of points of hands inside the outline of the face."""
    import cv2

    outline = cv2.convexHull(face.astype(np.float32))
    hands = np.concatenate([pose[LEFT_HAND], pose[RIGHT_HAND]])
    seen = hands[hands[:, 2] >= _CONFIDENCE, :2] * (width, height)
    return sum(cv2.pointPolygonTest(outline, (float(x), float(y)), False) > 0 for x, y in seen)


def chin_distance(portrait: Image, face: npt.NDArray[np.float64]) -> float:
    """Return the difference in colour between chin and nose bridge; 0 if one is too small to see."""
    skin, chin = (_colour(portrait, face[list(rows)]) for rows in (_BETWEEN_EYES, (*_CHIN, *_LIPS)))
    return 0.0 if skin is None or chin is None else float(np.linalg.norm(chin - skin))


def _colour(portrait: Image, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Return the median chroma (a, b) of CIE Lab in a polygon, None if it is too small."""
    import cv2

    height, width = portrait.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 1, (width, height))
    if right - left < 3 or bottom - top < 3:
        return None
    box = np.ascontiguousarray(portrait[top:bottom, left:right])
    mask = np.zeros(box.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull((corners - (left, top)).round().astype(np.int32)), (1,))
    pixels = cv2.cvtColor(box, cv2.COLOR_RGB2Lab)[mask > 0]
    return np.median(pixels[:, 1:].astype(np.float64), axis=0) if len(pixels) >= 9 else None
