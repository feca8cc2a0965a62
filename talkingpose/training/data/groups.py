"""Groups of frames of one person under one augmentation; a training pair is taken from a group."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose import FACE, LEFT_HAND, RIGHT_HAND, mirror
from talkingpose.pose.overlay import pose_image
from talkingpose.training.config import AugmentationConfig
from talkingpose.training.data.source import AnnotatedFrame, FrameSource
from talkingpose.training.errors import TrainingError

Keypoints = npt.NDArray[Any]

REGIONS = ("face", "hands", "mouth", "background")
MOUTH = slice(FACE.start + 48, FACE.stop)

_MIN_CONFIDENCE = 0.3
_SHOULDERS, _ARMS = (5, 6), ((5, 7), (7, 9), (6, 8), (8, 10))
# Thickness of an arm and margin of a person, in shoulder widths; head per face.
_LIMB, _MARGIN, _HEAD_SCALE = 0.4, 0.15, 2.0


@dataclass(frozen=True)
class FrameGroup:
    """M frames of one person, ready for training.

    Attributes:
        images: uint8 (M, S, S, 3) RGB.
        poses: uint8 (M, S, S, 3), drawn after the crop.
        keypoints: float32 (M, 133, 3) of the cropped pictures.
        separate: portraits are the first half of the frames, targets the second.
    """

    images: Image
    poses: Image
    keypoints: Keypoints
    separate: bool


def random_stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return the generator of one purpose, a function of its arguments: a resumed training draws the same."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *numbers])


def make_group(
    source: FrameSource,
    clip: int,
    count: int,
    size: int,
    augmentation: AugmentationConfig | None,
    rng: np.random.Generator,
) -> FrameGroup:
    """Take `count` frames of a clip, crop and mirror them, and draw their poses.

    Args:
        source: of the frames.
        clip: position in the source.
        count: number of frames.
        size: S, the side of the pictures.
        augmentation: None takes the centre square without changes.
        rng: of all random choices.

    Raises:
        TrainingError: the clip is too short for the minimum distance of the frames.
    """
    distance = augmentation.min_distance if augmentation else AugmentationConfig().min_distance
    indices = spread(source.num_frames(clip), count, distance, rng)
    cropped = augmentation is not None and rng.random() < augmentation.crop
    flipped = augmentation is not None and rng.random() < augmentation.flip
    separate = augmentation is not None and rng.random() < augmentation.separate_reference
    crops = [_crop(augmentation, cropped or separate, rng)] * count
    if separate:  # the portraits, the first half, have another crop
        crops[: count // 2] = [_crop(augmentation, True, rng)] * (count // 2)
    cut_frames: dict[int, AnnotatedFrame] = {}
    for crop in dict.fromkeys(crops):
        rows = [row for row in range(count) if crops[row] == crop]
        side = round(size / crop[0])
        taken = source.frames(clip, [indices[row] for row in rows], side)
        for row, (image, keypoints) in zip(rows, taken, strict=True):
            cut_frames[row] = cut(image, keypoints, crop, size)
    frames = [cut_frames[row] for row in range(count)]
    if flipped:
        frames = [(np.ascontiguousarray(image[:, ::-1]), mirror(keypoints)) for image, keypoints in frames]
    return FrameGroup(
        images=np.stack([image for image, _ in frames]),
        poses=np.stack([pose_image(keypoints, size, size) for _, keypoints in frames]),
        keypoints=np.stack([keypoints for _, keypoints in frames]).astype(np.float32),
        separate=separate,
    )


def spread(length: int, count: int, distance: int, rng: np.random.Generator) -> list[int]:
    """Draw `count` positions below `length`, pairwise at least `distance` apart, in random order.

    Raises:
        TrainingError: `length` is too small.
    """
    room = length - (count - 1) * (distance - 1)
    if room < count:
        needed = (count - 1) * distance + 1
        raise TrainingError(
            f"source: a clip of {length} frames: {count} frames at least {distance} apart need {needed}: "
            "set min_frames of the source, or a smaller augmentation.min_distance"
        )
    chosen = np.sort(rng.choice(room, count, replace=False)) + np.arange(count) * (distance - 1)
    return [int(index) for index in rng.permutation(chosen)]


def cut(image: Image, keypoints: Keypoints, crop: tuple[float, float, float], size: int) -> AnnotatedFrame:
    """Cut a square out of a frame and resize it.

    Args:
        image: uint8 (H, W, 3).
        keypoints: (133, 3), normalised.
        crop: (side as a share of the shorter side, x, y), with the position x and y in [0, 1] of the room
            that the square has.
        size: side of the result in pixels.

    Returns:
        The picture uint8 (size, size, 3) and its keypoints; a point outside it becomes a row of zeros.
    """
    height, width = image.shape[:2]
    side = max(1, round(crop[0] * min(height, width)))
    left, top = round(crop[1] * (width - side)), round(crop[2] * (height - side))
    square: Any = image[top : top + side, left : left + side]
    if side != size:
        method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
        square = cv2.resize(square, (size, size), interpolation=method)
    moved = keypoints.astype(np.float32).copy()
    moved[:, :2] = (moved[:, :2] * (width, height) - (left, top)) / side
    inside = ((moved[:, :2] >= 0) & (moved[:, :2] < 1)).all(axis=1) & (moved[:, 2] > 0)
    moved[~inside] = 0
    return np.ascontiguousarray(square), moved


def region_weights(keypoints: Keypoints, size: int, face: float, hand: float) -> npt.NDArray[np.float32]:
    """Return the weight of each pixel: 1, and `face` or `hand` inside the convex hull of these points.

    Args:
        keypoints: (133, 3).
        size: side of the map; the weights of a coarse map are means over its pixels.
        face: weight inside the face.
        hand: weight inside a hand.

    Returns:
        float32 (size, size).
    """
    # Drawn at 64 pixels or more, so that a hand of few latents still has its share of each.
    scale = max(1, 64 // size)
    weights: Any = np.ones((size * scale, size * scale), np.float32)
    for part, weight in ((FACE, face), (LEFT_HAND, hand), (RIGHT_HAND, hand)):
        if weight > 1:
            _fill_hull(weights, keypoints[part], weight)
    result: npt.NDArray[np.float32] = weights
    return cv2.resize(weights, (size, size), interpolation=cv2.INTER_AREA) if scale > 1 else result


def region_masks(keypoints: Keypoints, size: int) -> npt.NDArray[np.float32]:
    """Return face, hands, mouth and background of a picture as masks.

    The first three are convex hulls of keypoints. The background is all outside head, torso, arms and
    hands, each with a margin.

    Args:
        keypoints: (133, 3).
        size: side of the picture.

    Returns:
        float32 (4, size, size), 0 or 1, in the order of `REGIONS`; a region that cannot be seen is 0.
    """
    masks: Any = np.zeros((len(REGIONS), size, size), np.float32)
    for row, part in ((0, FACE), (1, LEFT_HAND), (1, RIGHT_HAND), (2, MOUTH)):
        _fill_hull(masks[row], keypoints[part], 1)
    points, seen = keypoints[:, :2] * size, keypoints[:, 2] >= _MIN_CONFIDENCE
    left, right = _SHOULDERS
    if seen[left] and seen[right]:
        width = float(np.hypot(*(points[left] - points[right])))
        person = masks[:2].max(axis=0)
        torso = [points[left], points[right], (points[right][0], size), (points[left][0], size)]
        cv2.fillPoly(person, [np.array(torso).round().astype(np.int32)], (1,))
        for start, end in _ARMS:
            if seen[start] and seen[end]:
                ends = [[round(float(value)) for value in points[joint]] for joint in (start, end)]
                cv2.line(person, ends[0], ends[1], (1,), max(1, round(_LIMB * width)))
        face = points[FACE][seen[FACE]]
        if len(face):
            middle = face.mean(axis=0)
            head = cv2.convexHull((middle + _HEAD_SCALE * (face - middle)).astype(np.float32))
            cv2.fillConvexPoly(person, head.round().astype(np.int32), (1,))
        margin = np.ones((2 * round(_MARGIN * width) + 1,) * 2, np.uint8)
        masks[3] = 1 - cv2.dilate(person, margin)
    result: npt.NDArray[np.float32] = masks
    return result


def _fill_hull(canvas: Any, points: Keypoints, value: float) -> None:
    """Fill the convex hull of the confident points (m, 3) on a square float32 canvas."""
    seen = points[points[:, 2] >= _MIN_CONFIDENCE, :2]
    if len(seen) >= 3:
        hull = cv2.convexHull((seen * len(canvas)).astype(np.float32))
        cv2.fillConvexPoly(canvas, hull.round().astype(np.int32), (value,))


def _crop(
    augmentation: AugmentationConfig | None, cropped: bool, rng: np.random.Generator
) -> tuple[float, float, float]:
    if augmentation is None or not cropped:
        return (1.0, 0.5, 0.5)
    area = rng.uniform(*augmentation.crop_scale)
    return (float(np.sqrt(area)), float(rng.random()), float(rng.random()))
