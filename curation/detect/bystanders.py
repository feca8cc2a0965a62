"""Detector of people beside the main person, including backs, arms and heads at the edge."""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.detect.measurements import BoolArray, Box, Bystander, FloatArray
from talkingpose.io.image import Image

# Strips narrower than this share of the picture's width are too small to tell a person from the main one.
_MIN_STRIP = 0.08
_PERSON = 0.5  # threshold of mediapipe's mask, a probability
# Areas below this share of the main person's box are not searched for evidence.
_MIN_AREA = 0.01
_VISIBLE = 0.5  # of a joint
_MIN_JOINTS = 3  # joints of a part of a person at the edge of the picture
# A body in one piece: half as tall as the main person and a tenth of the box. Furniture is marked in patches.
_SHAPE_HEIGHT, _SHAPE_AREA = 0.5, 0.1


class Bystanders:
    """mediapipe's selfie segmentation on the strips left and right of the main person, with evidence.

    On the whole picture the model sees only the main person. Segmentation alone also marks armrests, utensils
    and drawings. A marked area counts only with evidence of a person: a face in it, at least three visible
    joints on it, or one component as tall as half the main person. Two looks in a row must agree.
    """

    def __init__(self) -> None:
        from mediapipe.python.solutions import face_detection, pose, selfie_segmentation

        self._segment: Any = selfie_segmentation.SelfieSegmentation(model_selection=0)
        self._pose: Any = pose.Pose(static_image_mode=True, model_complexity=1)
        self._faces: Any = face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)

    def __call__(self, image: Image, person: Box, min_face: float) -> Bystander | None:
        """Find the largest other person.

        Args:
            image: uint8 (H, W, 3) RGB.
            person: Box of the main person.
            min_face: Smallest height of a face that counts, as a share of the picture's height.
        """
        width = image.shape[1]
        margin = 0.05 * person.width
        left, right = round((person.x0 - margin) * width), round((person.x1 + margin) * width)
        found = [
            self._look(image, max(start, 0), min(end, width), inner, person, min_face)
            for start, end, inner in ((0, left, -1), (right, width, 0))
            if min(end, width) - max(start, 0) >= _MIN_STRIP * width
        ]
        return max((one for one in found if one is not None), key=lambda one: one.area, default=None)

    def close(self) -> None:
        """Release the models."""
        for model in (self._segment, self._pose, self._faces):
            model.close()

    def _look(
        self, image: Image, start: int, end: int, inner: int, person: Box, min_face: float
    ) -> Bystander | None:
        strip = np.ascontiguousarray(image[:, start:end])
        height, width = image.shape[:2]
        whole = max(person.area * height * width, 1.0)
        mask: BoolArray = self._segment.process(strip).segmentation_mask > _PERSON
        if mask.sum() < _MIN_AREA * whole:
            return None
        separate, tallest = separate_part(mask, inner)
        if self._face_on(strip, mask, min_face):
            return _bystander(mask, start, image, whole, "face")
        if separate.sum() < _MIN_AREA * whole:
            return None
        if (
            tallest.sum() >= _SHAPE_AREA * whole
            and _rows(tallest) >= _SHAPE_HEIGHT * min(person.height, 1) * height
        ):
            return _bystander(separate, start, image, whole, "shape")
        if points_on(separate, self._joints(strip)) >= _MIN_JOINTS:
            return _bystander(separate, start, image, whole, "joints")
        return None

    def _face_on(self, strip: Image, mask: BoolArray, min_face: float) -> bool:
        """Return whether a face of enough height lies on the marked area."""
        for found in self._faces.process(strip).detections or ():
            box = found.location_data.relative_bounding_box
            centre = np.array([[box.xmin + box.width / 2, box.ymin + box.height / 2]])
            if box.height >= min_face and points_on(mask, centre):
                return True
        return False

    def _joints(self, strip: Image) -> FloatArray:
        """Visible joints, (N, 2), as shares of the strip."""
        found = self._pose.process(strip).pose_landmarks
        joints = [(p.x, p.y) for p in found.landmark if p.visibility >= _VISIBLE] if found else []
        return np.array(joints, np.float64).reshape(-1, 2)


def points_on(mask: BoolArray, points: FloatArray) -> int:
    """Count points (N, 2), shares of the picture, that lie on a mask."""
    rows, columns = mask.shape
    x, y = (np.floor(points * (columns, rows)).astype(int)).T
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    return int(mask[y[inside], x[inside]].sum())


def separate_part(mask: BoolArray, inner: int) -> tuple[BoolArray, BoolArray]:
    """Components that do not touch the inner edge, and the largest of them.

    Hair and clothes of the main person touch it.
    """
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    labels = np.asarray(labels)
    touching = set(np.unique(labels[:, inner]).tolist())
    own = [label for label in range(1, count) if label not in touching]
    largest = max(own, key=lambda label: int(stats[label, cv2.CC_STAT_AREA]), default=-1)
    return np.isin(labels, own), labels == largest


def _rows(mask: BoolArray) -> int:
    rows = np.flatnonzero(mask.any(axis=1))
    return int(rows[-1] - rows[0] + 1) if len(rows) else 0


def _bystander(mask: BoolArray, start: int, image: Image, whole: float, evidence: str) -> Bystander:
    height, width = image.shape[:2]
    y, x = np.nonzero(mask)
    box = Box(
        float(x.min() + start) / width,
        float(y.min()) / height,
        float(x.max() + 1 + start) / width,
        float(y.max() + 1) / height,
    )
    return Bystander(box, float(mask.sum()) / whole, evidence)
