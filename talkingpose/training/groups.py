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
from talkingpose.pose.pose_image import pose_image
from talkingpose.training.config import AugmentationConfig
from talkingpose.training.errors import TrainingError
from talkingpose.training.source import AnnotatedFrame, FrameSource

Keypoints = npt.NDArray[Any]

_MIN_CONFIDENCE = 0.3


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
        points = keypoints[part]
        seen = points[points[:, 2] >= _MIN_CONFIDENCE, :2]
        if weight > 1 and len(seen) >= 3:
            hull = cv2.convexHull((seen * size * scale).astype(np.float32))
            cv2.fillConvexPoly(weights, hull.round().astype(np.int32), (weight,))
    result: npt.NDArray[np.float32] = weights
    return cv2.resize(weights, (size, size), interpolation=cv2.INTER_AREA) if scale > 1 else result


def _crop(
    augmentation: AugmentationConfig | None, cropped: bool, rng: np.random.Generator
) -> tuple[float, float, float]:
    if augmentation is None or not cropped:
        return (1.0, 0.5, 0.5)
    area = rng.uniform(*augmentation.crop_scale)
    return (float(np.sqrt(area)), float(rng.random()), float(rng.random()))
