"""Pose picture as DWPose draws it for ControlNet-style models.

Equal in every pixel to DWPose's `draw_bodypose`, `draw_handpose` and `draw_facepose`. Discs and lines have a
fixed size in pixels, for pictures of any size.
"""

from __future__ import annotations

import colorsys
import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.keypoints import (
    FACE,
    LEFT_HAND,
    LEFT_HAND_EDGES,
    RIGHT_HAND,
    RIGHT_HAND_EDGES,
    Edges,
    PoseError,
    validate,
)

_MIN_CONFIDENCE = 0.3
_LIMB_HALF_WIDTH = 4
_LIMB_BRIGHTNESS = 0.6
_JOINT_RADIUS = 4
_HAND_LINE_THICKNESS = 2
_HAND_RADIUS = 4
_HAND_COLOUR = (0, 0, 255)
_FACE_RADIUS = 3
_FACE_COLOUR = (255, 255, 255)
# Larger coordinates are in the wrong unit: detectors place points only slightly outside the picture.
_MAX_COORDINATE = 10.0
_MAX_SIDE = 16384

# OpenPose's 18 body points: the neck (None) between the shoulders, the others by their COCO index.
OPENPOSE18 = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
# Limbs of OpenPose in drawing order; its last two, ear to shoulder, are not drawn.
LIMBS = (
    (1, 2),
    (1, 5),
    (2, 3),
    (3, 4),
    (5, 6),
    (6, 7),
    (1, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (1, 0),
    (0, 14),
    (14, 16),
    (0, 15),
    (15, 17),
)
# Limb i and joint i have colour i.
COLOURS = (
    (255, 0, 0),
    (255, 85, 0),
    (255, 170, 0),
    (255, 255, 0),
    (170, 255, 0),
    (85, 255, 0),
    (0, 255, 0),
    (0, 255, 85),
    (0, 255, 170),
    (0, 255, 255),
    (0, 170, 255),
    (0, 85, 255),
    (0, 0, 255),
    (85, 0, 255),
    (170, 0, 255),
    (255, 0, 255),
    (255, 0, 170),
    (255, 0, 85),
)
_FINGER_COLOURS = tuple(
    tuple(255 * channel for channel in colorsys.hsv_to_rgb(edge / len(LEFT_HAND_EDGES), 1.0, 1.0))
    for edge in range(len(LEFT_HAND_EDGES))
)


def draw_pose(keypoints: npt.NDArray[Any], height: int, width: int) -> Image:
    """Draw one person's keypoints on black: limbs, joints, hands, then face.

    Args:
        keypoints: (133, 3) floating point: x, y normalised by the picture's width and height, confidence in
            [0, 1]. Body points are drawn above confidence 0.3, hand and face points from 0.3; feet are not
            drawn.
        height: height of the picture in pixels.
        width: width of the picture in pixels.

    Returns:
        RGB, uint8 (height, width, 3).

    Raises:
        PoseError: invalid keypoints (see `validate`), or a side outside 1 to 16384.

    Example:
        >>> from talkingpose import draw_pose, load_clips
        >>> clip = load_clips("tp-mini", split="test")[0]
        >>> picture = draw_pose(clip.keypoints[0], clip.height, clip.width)
        >>> picture.shape == (clip.height, clip.width, 3)
        True
    """
    validate(keypoints)
    if keypoints.ndim != 2:
        raise PoseError(f"keypoints: shape {keypoints.shape}: give one frame, (133, 3)")
    if not (1 <= height <= _MAX_SIDE and 1 <= width <= _MAX_SIDE):
        raise PoseError(f"picture: {width}x{height}: give sides between 1 and {_MAX_SIDE}")
    if np.abs(keypoints[:, :2]).max() > _MAX_COORDINATE:
        raise PoseError("keypoints: coordinates far outside the picture: normalise them by width and height")
    points = keypoints.astype(np.float64)
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas = _draw_body(canvas, points)
    _draw_hand(canvas, points, LEFT_HAND, LEFT_HAND_EDGES)
    _draw_hand(canvas, points, RIGHT_HAND, RIGHT_HAND_EDGES)
    _draw_face(canvas, points)
    return canvas


def _draw_body(canvas: Image, points: npt.NDArray[np.float64]) -> Image:
    height, width = canvas.shape[:2]
    joints = openpose_joints(points)
    for (a, b), colour in zip(LIMBS, COLOURS, strict=False):
        start, end = joints[a], joints[b]
        if start is None or end is None:
            continue
        (x0, y0), (x1, y1) = start * (width, height), end * (width, height)
        cv2.fillConvexPoly(canvas, limb(x0, y0, x1, y1), colour)
    canvas = (canvas * _LIMB_BRIGHTNESS).astype(np.uint8)
    for joint, colour in zip(joints, COLOURS, strict=True):
        if joint is not None:
            x, y = joint * (width, height)
            cv2.circle(canvas, (int(x), int(y)), _JOINT_RADIUS, colour, thickness=-1)
    return canvas


def openpose_joints(points: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64] | None]:
    """Return x, y of OpenPose's 18 points, None where the confidence is too low."""
    confident = points[:, 2] > _MIN_CONFIDENCE
    shoulders = [_LEFT_SHOULDER, _RIGHT_SHOULDER]
    neck = points[shoulders, :2].mean(axis=0) if confident[shoulders].all() else None
    return [neck if i is None else points[i, :2] if confident[i] else None for i in OPENPOSE18]


def limb(x0: float, y0: float, x1: float, y1: float) -> npt.NDArray[np.int32]:
    """Return the outline of an ellipse between two joints, truncated to whole pixels and degrees."""
    centre = int((x0 + x1) / 2), int((y0 + y1) / 2)
    dx, dy = x0 - x1, y0 - y1
    axes = int(math.sqrt(dx * dx + dy * dy) / 2), _LIMB_HALF_WIDTH
    angle = int(math.degrees(math.atan2(dy, dx)))
    return np.asarray(cv2.ellipse2Poly(centre, axes, angle, 0, 360, 1), np.int32)


def _draw_hand(canvas: Image, points: npt.NDArray[np.float64], hand: slice, edges: Edges) -> None:
    pixels = _drawn_pixels(points, canvas.shape)
    for (a, b), colour in zip(edges, _FINGER_COLOURS, strict=True):
        start, end = pixels[a], pixels[b]
        if start is not None and end is not None:
            cv2.line(canvas, start, end, colour, thickness=_HAND_LINE_THICKNESS)
    for pixel in pixels[hand]:
        if pixel is not None:
            cv2.circle(canvas, pixel, _HAND_RADIUS, _HAND_COLOUR, thickness=-1)


def _draw_face(canvas: Image, points: npt.NDArray[np.float64]) -> None:
    for pixel in _drawn_pixels(points, canvas.shape)[FACE]:
        if pixel is not None:
            cv2.circle(canvas, pixel, _FACE_RADIUS, _FACE_COLOUR, thickness=-1)


def _drawn_pixels(points: npt.NDArray[np.float64], shape: tuple[int, ...]) -> list[tuple[int, int] | None]:
    """Return the pixel of each of the 133 points, None where hands and faces leave it out."""
    height, width = shape[:2]
    pixels = (points[:, :2] * (width, height)).astype(int)
    # DWPose skips the first row and column, where its missing points are.
    drawn = (points[:, 2] >= _MIN_CONFIDENCE) & (pixels > 0).all(axis=1)
    return [(int(x), int(y)) if ok else None for (x, y), ok in zip(pixels, drawn, strict=True)]
