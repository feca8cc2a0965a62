"""Background of the portrait, pasted into the frames of a model: `--keep-background`."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.animate.driving_poses import Keypoints
from talkingpose.io.image import Image
from talkingpose.pose.estimator import quiet_stderr
from talkingpose.pose.keypoints import LEFT_HAND, RIGHT_HAND

Mask = npt.NDArray[np.float32]

_CONFIDENCE = 0.3
# Probability of the segmentation at which the person begins and is complete.
_FAINT, _FULL = 0.2, 0.6
# Margin around the person and softness of its border, as shares of the longer side.
_MARGIN, _SOFT = 0.025, 0.01
# Widths of the parts around the keypoints, in shoulder widths.
_ARM, _HEAD, _HAND = 0.3, 0.6, 0.2
_LIMBS = ((5, 6), (5, 7), (7, 9), (6, 8), (8, 10))
_TORSO = (5, 6, 12, 11)
# Shoulder width where it is not known, as a share of the width of the frame.
_SHOULDERS = 0.3


class PortraitBackground:
    """Background of a portrait, for frames of the same size.

    A pixel is the portrait's where neither portrait nor frame show the person. What the person hides in the
    portrait and uncovers in a frame stays as the model made it. The person is what mediapipe segments, and
    what lies around the keypoints. Use it as a context manager.

    Args:
        portrait: uint8 RGB (H, W, 3).
        pose: its keypoints, (133, 3).
    """

    def __init__(self, portrait: Image, pose: Keypoints) -> None:
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        self._portrait = portrait
        # mediapipe logs when it starts.
        with quiet_stderr():
            self._segment: Any = SelfieSegmentation(model_selection=0)
            self._own = self._person(portrait, pose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._segment.close()

    def pasted(self, frame: Image, keypoints: Keypoints | None) -> Image:
        """Return a frame, uint8 (H, W, 3), with the background of the portrait.

        Args:
            frame: of the size of the portrait.
            keypoints: of the frame, (133, 3); None if they are not known.
        """
        alpha = np.maximum(self._own, self._person(frame, keypoints))[..., None]
        return np.asarray(np.rint(frame * alpha + self._portrait * (1 - alpha)), np.uint8)

    def _person(self, image: Image, keypoints: Keypoints | None) -> Mask:
        """Return the mask of the person, float32 (H, W) in [0, 1], with margin and soft border."""
        height, width = image.shape[:2]
        raw = np.asarray(self._segment.process(np.ascontiguousarray(image)).segmentation_mask)
        mask = np.clip((raw - _FAINT) / (_FULL - _FAINT), 0, 1).astype(np.float32)
        if keypoints is not None:
            mask = np.maximum(mask, body_mask(keypoints, height, width))
        margin = max(1, round(_MARGIN * max(height, width)))
        mask = np.asarray(cv2.dilate(mask, _disc(margin)), np.float32)
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.8, _SOFT * max(height, width))), np.float32)


def body_mask(keypoints: Keypoints, height: int, width: int) -> Mask:
    """Return 1 around the keypoints of a person and 0 elsewhere, float32 (H, W)."""
    mask = np.zeros((height, width), np.uint8)
    points = keypoints[:, :2] * (width, height)
    seen = keypoints[:, 2] >= _CONFIDENCE
    shoulders = _SHOULDERS * width
    if seen[5] and seen[6]:
        shoulders = max(float(np.hypot(*(points[5] - points[6]))), shoulders / 3)
    for a, b in _LIMBS:
        if seen[a] and seen[b]:
            cv2.line(mask, _pixel(points[a]), _pixel(points[b]), (1,), max(1, round(_ARM * shoulders)))
    torso = [row for row in _TORSO if seen[row]]
    if len(torso) > 2:
        cv2.fillConvexPoly(mask, points[torso].round().astype(np.int32), (1,))
    if seen[0]:
        cv2.circle(mask, _pixel(points[0]), round(_HEAD * shoulders), (1,), thickness=-1)
    for row in (*range(LEFT_HAND.start, LEFT_HAND.stop), *range(RIGHT_HAND.start, RIGHT_HAND.stop)):
        if seen[row]:
            cv2.circle(mask, _pixel(points[row]), max(1, round(_HAND * shoulders / 2)), (1,), thickness=-1)
    return mask.astype(np.float32)


def _pixel(point: npt.NDArray[Any]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _disc(radius: int) -> npt.NDArray[np.uint8]:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
