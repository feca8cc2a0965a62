"""Which part of the picture a clip keeps, fixed for the whole clip."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.config import CropSettings as Settings
from talkingpose.pose import FACE

# Sides are multiples of this: the autoencoder of latent diffusion models halves a picture three times.
SIDE_STEP = 8
# Width over height.
_SHAPES = {"square": 1.0, "9:16": 9 / 16}
# Below this a point is a guess; DWPose's drawing leaves such points out as well.
_MIN_CONFIDENCE = 0.3
# The face's landmarks end at the brows; the top of the head is about half their height above them.
_HEAD_ABOVE_BROWS = 0.5


class Crop(NamedTuple):
    """Pixels of the source: columns x0 to x1, rows y0 to y1, ends exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """In pixels."""
        return self.y1 - self.y0

    def normalised(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Corners as shares of a source of this size."""
        return self.x0 / width, self.y0 / height, self.x1 / width, self.y1 / height


def person_boxes(keypoints: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The person's box in every frame.

    Args:
        keypoints: (T, 133, 3), normalised.

    Returns:
        float32 (T, 4), xyxy in [0, 1], from the lowest sure point to the top of the head; zeros where no
        point is sure.
    """
    boxes = np.zeros((len(keypoints), 4), np.float32)
    for box, points in zip(boxes, keypoints.astype(np.float64), strict=True):
        sure = points[:, 2] >= _MIN_CONFIDENCE
        if not sure.any():
            continue
        (x0, y0), (x1, y1) = points[sure, :2].min(axis=0), points[sure, :2].max(axis=0)
        face = points[FACE][sure[FACE], 1]
        if face.size:
            y0 = min(y0, face.min() - _HEAD_ABOVE_BROWS * (face.max() - face.min()))
        box[:] = np.clip((x0, y0, x1, y1), 0, 1)
    return boxes


def choose_crop(boxes: npt.NDArray[np.float32], width: int, height: int, settings: Settings) -> Crop:
    """The crop of a clip: never larger than the source, so that nothing is scaled up.

    A crop of a shape (square, or upright 9:16) holds the person's box over the whole clip with the margin
    around it; without that much room, as much margin as there is. Where the box alone is larger than the
    largest crop of the shape, as with arms spread in a wide picture, that side is longer: no hand is cut off
    for the sake of the shape. Sides are multiples of 8. In a source of the same shape that the crop would
    nearly fill, the whole source is kept.

    Args:
        boxes: (T, 4), normalised xyxy, zeros where there is nobody.
        width, height: of the source, in pixels.
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
    """Keypoints of the source, normalised by `width` and `height`, as keypoints of the crop.

    Points outside the crop are zeros, as absent points are. Shape (T, 133, 3) stays.
    """
    moved = keypoints.astype(np.float64)
    moved[..., 0] = (moved[..., 0] * width - crop.x0) / crop.width
    moved[..., 1] = (moved[..., 1] * height - crop.y0) / crop.height
    inside = ((moved[..., :2] >= 0) & (moved[..., :2] <= 1)).all(axis=-1) & (keypoints[..., 2] > 0)
    return np.where(inside[..., None], moved, 0).astype(np.float32)


def boxes_in(crop: Crop, boxes: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    """Boxes of the source as boxes of the crop, (T, 4), cut at its edges; zeros stay zeros."""
    corners = boxes.astype(np.float64) * (width, height, width, height)
    corners = (corners - (crop.x0, crop.y0) * 2) / ((crop.width, crop.height) * 2)
    return np.where(boxes.any(axis=1)[:, None], np.clip(corners, 0, 1), 0).astype(np.float32)


def _whole(width: int, height: int) -> Crop:
    """The source without what exceeds a multiple of 8, half of it on each side."""
    kept_width, kept_height = (max(side // SIDE_STEP * SIDE_STEP, 2) for side in (width, height))
    x0, y0 = (width - kept_width) // 2, (height - kept_height) // 2
    return Crop(x0, y0, x0 + kept_width, y0 + kept_height)


def _largest(width: float, shape: float, whole: Crop) -> tuple[int, int]:
    """Width and height of a shape that is this wide, or as wide as the source allows."""
    across = min(_up(width), whole.width)
    if _up(across / shape) <= whole.height:
        return across, _up(across / shape)
    return min(_up(whole.height * shape), whole.width), whole.height


def _up(length: float) -> int:
    return max(math.ceil(length / SIDE_STEP - 1e-9), 1) * SIDE_STEP


def _place(centre: float, length: int, room: int) -> int:
    """Where a span of this length begins so that it lies around the centre and inside."""
    return min(max(round(centre - length / 2), 0), room - length)
