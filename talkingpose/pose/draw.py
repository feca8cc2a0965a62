"""The picture of a pose, as DWPose draws it for ControlNet-style models.

The drawing is that of DWPose's `draw_bodypose`, `draw_handpose` and `draw_facepose`, equal in every pixel;
sizes are in pixels, whatever the size of the picture.
"""

from __future__ import annotations

import colorsys
import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

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
# Farther out a coordinate is in the wrong unit: detectors place points a little outside the picture only.
_MAX_COORDINATE = 10.0
_MAX_SIDE = 16384

# OpenPose's 18 body points: the neck (None) between the shoulders, the others by their COCO index.
_OPENPOSE = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
# Limbs of OpenPose in drawing order; its last two, ear to shoulder, are not drawn.
_LIMBS = (
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
_COLOURS = (
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


def draw_pose(keypoints: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Draw one person's keypoints on black: limbs, joints, hands, face, each over what was drawn before.

    Args:
        keypoints: (133, 3) floating point: x, y normalised by the picture's width and height, confidence in
            [0, 1]. A body point is drawn above 0.3, a hand or face point from 0.3 on; feet are not drawn.
        height, width: of the picture, in pixels.

    Returns:
        RGB, uint8 (height, width, 3).

    Raises:
        PoseError: no such keypoints (see `validate`), or a size that is not between 1 and 16384.
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


def _draw_body(canvas: npt.NDArray[np.uint8], points: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    height, width = canvas.shape[:2]
    joints = _openpose_joints(points)
    for (a, b), colour in zip(_LIMBS, _COLOURS, strict=False):
        start, end = joints[a], joints[b]
        if start is None or end is None:
            continue
        (x0, y0), (x1, y1) = start * (width, height), end * (width, height)
        cv2.fillConvexPoly(canvas, _limb(x0, y0, x1, y1), colour)
    canvas = (canvas * _LIMB_BRIGHTNESS).astype(np.uint8)
    for joint, colour in zip(joints, _COLOURS, strict=True):
        if joint is not None:
            x, y = joint * (width, height)
            cv2.circle(canvas, (int(x), int(y)), _JOINT_RADIUS, colour, thickness=-1)
    return canvas


def _openpose_joints(points: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64] | None]:
    """x, y of OpenPose's 18 points, None where one is not sure enough."""
    sure = points[:, 2] > _MIN_CONFIDENCE
    shoulders = [_LEFT_SHOULDER, _RIGHT_SHOULDER]
    neck = points[shoulders, :2].mean(axis=0) if sure[shoulders].all() else None
    return [neck if i is None else points[i, :2] if sure[i] else None for i in _OPENPOSE]


def _limb(x0: float, y0: float, x1: float, y1: float) -> npt.NDArray[np.int32]:
    """The outline of a filled ellipse between two joints; all of it is cut to whole pixels and degrees."""
    centre = int((x0 + x1) / 2), int((y0 + y1) / 2)
    dx, dy = x0 - x1, y0 - y1
    axes = int(math.sqrt(dx * dx + dy * dy) / 2), _LIMB_HALF_WIDTH
    angle = int(math.degrees(math.atan2(dy, dx)))
    return np.asarray(cv2.ellipse2Poly(centre, axes, angle, 0, 360, 1), np.int32)


def _draw_hand(
    canvas: npt.NDArray[np.uint8], points: npt.NDArray[np.float64], hand: slice, edges: Edges
) -> None:
    pixels = _drawn_pixels(points, canvas.shape)
    for (a, b), colour in zip(edges, _FINGER_COLOURS, strict=True):
        start, end = pixels[a], pixels[b]
        if start is not None and end is not None:
            cv2.line(canvas, start, end, colour, thickness=_HAND_LINE_THICKNESS)
    for pixel in pixels[hand]:
        if pixel is not None:
            cv2.circle(canvas, pixel, _HAND_RADIUS, _HAND_COLOUR, thickness=-1)


def _draw_face(canvas: npt.NDArray[np.uint8], points: npt.NDArray[np.float64]) -> None:
    for pixel in _drawn_pixels(points, canvas.shape)[FACE]:
        if pixel is not None:
            cv2.circle(canvas, pixel, _FACE_RADIUS, _FACE_COLOUR, thickness=-1)


def _drawn_pixels(points: npt.NDArray[np.float64], shape: tuple[int, ...]) -> list[tuple[int, int] | None]:
    """Pixel of each of the 133 points as hands and faces are drawn, None where one is not."""
    height, width = shape[:2]
    pixels = (points[:, :2] * (width, height)).astype(int)
    # DWPose leaves out what falls on the first row or column, where its missing points would be.
    drawn = (points[:, 2] >= _MIN_CONFIDENCE) & (pixels > 0).all(axis=1)
    return [(int(x), int(y)) if ok else None for (x, y), ok in zip(pixels, drawn, strict=True)]
