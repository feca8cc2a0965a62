"""Crop of a clip, fixed for all its frames."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.settings import CropSettings
from talkingpose.pose import FACE

# Sides are multiples of 8, because the autoencoder of latent diffusion models halves a picture three times.
SIDE_STEP = 8
# Width over height.
_SHAPES = {"square": 1.0, "9:16": 9 / 16}
# Less confident points are guesses; DWPose's drawing leaves them out as well.
_MIN_CONFIDENCE = 0.3
# Face landmarks end at the brows; the top of the head is about half their height above them.
_HEAD_ABOVE_BROWS = 0.5


class Crop(NamedTuple):
    """Rectangle of the source in pixels: columns x0 to x1, rows y0 to y1, ends exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.y1 - self.y0

    def normalised(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Corners as shares of the source's width and height."""
        return self.x0 / width, self.y0 / height, self.x1 / width, self.y1 / height


def person_boxes(keypoints: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Box of the person in every frame.

    Args:
        keypoints: (T, 133, 3), normalised.

    Returns:
        float32 (T, 4), xyxy in [0, 1], from the lowest confident point to the top of the head; zeros without
        a confident point.
    """
    boxes = np.zeros((len(keypoints), 4), np.float32)
    for box, points in zip(boxes, keypoints.astype(np.float64), strict=True):
        known = points[:, 2] >= _MIN_CONFIDENCE
        if not known.any():
            continue
        (x0, y0), (x1, y1) = points[known, :2].min(axis=0), points[known, :2].max(axis=0)
        face = points[FACE][known[FACE], 1]
        if face.size:
            y0 = min(y0, face.min() - _HEAD_ABOVE_BROWS * (face.max() - face.min()))
        box[:] = np.clip((x0, y0, x1, y1), 0, 1)
    return boxes


def choose_crop(boxes: npt.NDArray[np.float32], width: int, height: int, settings: CropSettings) -> Crop:
    """Choose the crop of a clip; it is never larger than the source, so nothing is scaled up.

    A crop of a shape (square or upright 9:16) contains the person's boxes of the whole clip and the margin
    around them, as far as there is room. If the boxes exceed the largest crop of the shape, for example by
    spread arms in a wide picture, that side is longer, so that no hand is cut off. Sides are multiples of 8.
    The whole source is kept if it has the same shape and the crop would nearly fill it.

    Args:
        boxes: (T, 4), normalised xyxy, zeros where there is nobody.
        width, height: Size of the source in pixels.
        settings: Shape and margin.
    """
    whole = _whole(width, height)
    present = boxes[boxes.any(axis=1)]
    if settings.mode == "none" or not len(present):
        return whole
    (left, top), (right, bottom) = present[:, :2].min(axis=0), present[:, 2:].max(axis=0)
    box_width, box_height = float(right - left) * width, float(bottom - top) * height
    shape = _SHAPES[settings.mode]
    wanted = max(box_width, box_height * shape) * (1 + 2 * settings.margin)
    shaped_width, shaped_height = _largest(wanted, shape, whole)
    fills = shaped_height >= (1 - settings.margin) * whole.height
    if fills and abs(whole.width - shape * whole.height) < SIDE_STEP:
        return whole
    crop_width = min(max(shaped_width, _up(box_width)), whole.width)
    crop_height = min(max(shaped_height, _up(box_height)), whole.height)
    x0 = _place(float(left + right) / 2 * width, crop_width, width)
    y0 = _place(float(top + bottom) / 2 * height, crop_height, height)
    return Crop(x0, y0, x0 + crop_width, y0 + crop_height)


def keypoints_in(crop: Crop, keypoints: npt.NDArray[Any], width: int, height: int) -> npt.NDArray[np.float32]:
    """Convert keypoints of the source, normalised by `width` and `height`, to keypoints of the crop.

    Returns:
        (T, 133, 3). Points outside the crop are zeros, as absent points are.
    """
    moved = keypoints.astype(np.float64)
    moved[..., 0] = (moved[..., 0] * width - crop.x0) / crop.width
    moved[..., 1] = (moved[..., 1] * height - crop.y0) / crop.height
    inside = ((moved[..., :2] >= 0) & (moved[..., :2] <= 1)).all(axis=-1) & (keypoints[..., 2] > 0)
    return np.where(inside[..., None], moved, 0).astype(np.float32)


def boxes_in(crop: Crop, boxes: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    """Convert boxes (T, 4) of the source to boxes of the crop, clipped at its edges; zeros stay zeros."""
    corners = boxes.astype(np.float64) * (width, height, width, height)
    corners = (corners - (crop.x0, crop.y0) * 2) / ((crop.width, crop.height) * 2)
    return np.where(boxes.any(axis=1)[:, None], np.clip(corners, 0, 1), 0).astype(np.float32)


def _whole(width: int, height: int) -> Crop:
    """Largest centred crop whose sides are multiples of 8."""
    kept_width, kept_height = (max(side // SIDE_STEP * SIDE_STEP, 2) for side in (width, height))
    x0, y0 = (width - kept_width) // 2, (height - kept_height) // 2
    return Crop(x0, y0, x0 + kept_width, y0 + kept_height)


def _largest(width: float, shape: float, whole: Crop) -> tuple[int, int]:
    """Width and height of a shape of this width, limited by the source."""
    across = min(_up(width), whole.width)
    if _up(across / shape) <= whole.height:
        return across, _up(across / shape)
    return min(_up(whole.height * shape), whole.width), whole.height


def _up(length: float) -> int:
    return max(math.ceil(length / SIDE_STEP - 1e-9), 1) * SIDE_STEP


def _place(centre: float, length: int, room: int) -> int:
    """Start of a span of this length around the centre, moved inside [0, room]."""
    return min(max(round(centre - length / 2), 0), room - length)
