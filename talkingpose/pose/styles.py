"""Pose pictures in the styles that other projects are trained on."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.draw import COLOURS, LIMBS, OPENPOSE18, draw_pose, limb, openpose_joints
from talkingpose.pose.keypoints import (
    FACE,
    FACE_EDGES,
    FEET,
    LEFT_HAND,
    LEFT_HAND_EDGES,
    RIGHT_HAND,
    RIGHT_HAND_EDGES,
    Edges,
    PoseError,
)
from talkingpose.pose.overlay import pose_image

PoseStyle = Literal["dwpose", "openpose", "openpose18", "mimicmotion"]
POSE_STYLES: tuple[PoseStyle, ...] = get_args(PoseStyle)

_Points = npt.NDArray[np.float64]
_Colour = tuple[float, float, float]

# OpenPose's BODY_25 and its colours (include/openpose/pose/poseParametersRender.hpp). Joints: nose, neck,
# right arm, left arm, middle of the hips, right leg, left leg, eyes, ears, left foot, right foot. None stands
# for the two points that COCO lacks.
_BODY25 = (0, None, 6, 8, 10, 5, 7, 9, None, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 17, 18, 19, 20, 21, 22)
_LIMBS25 = (
    *((1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11), (8, 12), (12, 13)),
    *((13, 14), (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (14, 19), (19, 20), (14, 21), (11, 22)),
    *((22, 23), (11, 24)),
)
_COLOURS25: tuple[_Colour, ...] = (
    *((255, 0, 85), (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)),
    *((0, 255, 0), (255, 0, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255)),
    *((0, 0, 255), (255, 0, 170), (170, 0, 255), (255, 0, 255), (85, 0, 255)),
    *((0, 0, 255), (0, 0, 255), (0, 0, 255), (0, 255, 255), (0, 255, 255), (0, 255, 255)),
)
# Wrist, then thumb, forefinger, middle finger, ring finger and little finger, each brighter towards its tip
# (include/openpose/hand/handParameters.hpp).
_FINGERS25 = ((1, 0, 0), (1, 1, 0), (0, 1, 0.5), (0, 0.5, 1), (1, 0, 1))
_HAND_COLOURS25: tuple[_Colour, ...] = (
    (100, 100, 100),
    *(
        (level * red, level * green, level * blue)
        for red, green, blue in _FINGERS25
        for level in (100, 150, 200, 255)
    ),
)
_MIN_CONFIDENCE = 0.3
# MimicMotion draws on a picture whose shorter side has so many pixels, and reduces it.
_MIMICMOTION_SIDE = 2160


def draw_style(keypoints: npt.NDArray[Any], height: int, width: int, style: PoseStyle) -> Image:
    """Draw one person's keypoints on black in a style.

    Args:
        keypoints: (133, 3) floating point: x, y normalised by width and height, confidence in [0, 1].
        height: height of the picture in pixels.
        width: width of the picture in pixels.
        style: `dwpose`: 18 joints, hands and face, as DWPose and the `openpose_full` annotator of ControlNet
            draw them. `openpose18`: the same body without hands and face, as the `openpose` annotator of
            ControlNet. `openpose`: BODY_25 with feet, hands and face lines in the colours of OpenPose's own
            renderer. `mimicmotion`: the `dwpose` figure with thin lines, colours times the confidence of
            their points, and red and blue exchanged (mimicmotion/dwpose/util.py of MimicMotion).

    Returns:
        RGB, uint8 (height, width, 3).

    Raises:
        PoseError: an unknown style, or as for `draw_pose`.
    """
    if style not in _STYLES:
        raise PoseError(f"pose style {style!r}: unknown: choose one of {', '.join(POSE_STYLES)}")
    return _STYLES[style](keypoints, height, width)


def _openpose18(keypoints: npt.NDArray[Any], height: int, width: int) -> Image:
    body = keypoints.copy()
    body[FEET.start :] = 0
    return pose_image(body, height, width)


def _openpose(keypoints: npt.NDArray[Any], height: int, width: int) -> Image:
    canvas = np.zeros_like(draw_pose(keypoints, height, width))  # checks the arguments
    points = keypoints.astype(np.float64)
    scale = math.sqrt(height * width)
    face: tuple[_Colour, ...] = ((255, 255, 255),) * 68
    body = _body25(points)
    _draw_parts(canvas, body, _LIMBS25, _COLOURS25, scale / 75, 0.75)
    _draw_parts(canvas, points[FACE], _shifted(FACE_EDGES, FACE), face, scale / 150, 0.334)
    for part, edges in ((LEFT_HAND, LEFT_HAND_EDGES), (RIGHT_HAND, RIGHT_HAND_EDGES)):
        _draw_parts(canvas, points[part], _shifted(edges, part), _HAND_COLOURS25, scale / 100, 0.75)
    return canvas


def _body25(points: _Points) -> _Points:
    """Return the 25 joints, (25, 3); neck and middle of the hips lie between two points."""
    neck, hips = (points[list(pair)].mean(axis=0) for pair in ((5, 6), (11, 12)))
    neck[2], hips[2] = points[[5, 6], 2].min(), points[[11, 12], 2].min()
    between = iter((neck, hips))
    return np.stack([next(between) if index is None else points[index] for index in _BODY25])


def _shifted(edges: Edges, part: slice) -> Edges:
    return tuple((a - part.start, b - part.start) for a, b in edges)


def _draw_parts(
    canvas: Image,
    points: _Points,
    edges: Edges,
    colours: tuple[_Colour, ...],
    thickness: float,
    line: float,
) -> None:
    """Draw lines in the colour of their second point, then points; `line` is relative to `thickness`."""
    height, width = canvas.shape[:2]
    pixels = np.rint(points[:, :2] * (width, height) - 0.5).astype(int).tolist()
    seen = points[:, 2] >= _MIN_CONFIDENCE
    for a, b in edges:
        if seen[a] and seen[b]:
            cv2.line(canvas, pixels[a], pixels[b], colours[b], max(1, round(thickness * line)), cv2.LINE_8)
    for index in np.flatnonzero(seen):
        cv2.circle(canvas, pixels[index], max(1, round(thickness / 2)), colours[index], -1, cv2.LINE_8)


def _mimicmotion(keypoints: npt.NDArray[Any], height: int, width: int) -> Image:
    draw_pose(keypoints[..., :3], height, width)  # checks the arguments
    factor = _MIMICMOTION_SIDE / min(height, width)
    points = keypoints.astype(np.float64)
    canvas = np.zeros((int(height * factor), int(width * factor), 3), np.uint8)
    canvas = _faded_body(canvas, points)
    pixels = (points[:, :2] * (canvas.shape[1], canvas.shape[0])).astype(int)
    inside = (pixels > 0).all(axis=1)
    for part, edges in ((LEFT_HAND, LEFT_HAND_EDGES), (RIGHT_HAND, RIGHT_HAND_EDGES)):
        for number, (a, b) in enumerate(edges):
            level = int(points[a, 2] * points[b, 2] * 255)
            if inside[a] and inside[b]:
                colour = tuple(level * c for c in colorsys.hsv_to_rgb(number / len(edges), 1.0, 1.0))
                cv2.line(canvas, pixels[a].tolist(), pixels[b].tolist(), colour, thickness=2)
        _faded_discs(canvas, pixels, inside, points[:, 2], part, 4, (0, 0, 1))
    _faded_discs(canvas, pixels, inside, points[:, 2], FACE, 3, (1, 1, 1))
    return np.ascontiguousarray(cv2.resize(canvas, (width, height))[:, :, ::-1], np.uint8)


def _faded_body(canvas: Image, points: _Points) -> Image:
    """Draw the 18 joints, in colours that fade with the confidence of their points."""
    height, width = canvas.shape[:2]
    joints = openpose_joints(points)
    confidence = [points[[5, 6], 2].min() if i is None else points[i, 2] for i in OPENPOSE18]
    for (a, b), colour in zip(LIMBS, COLOURS, strict=False):
        start, end = joints[a], joints[b]
        if start is None or end is None:
            continue
        faded = [int(channel * confidence[a] * confidence[b]) for channel in colour]
        cv2.fillConvexPoly(canvas, limb(*(start * (width, height)), *(end * (width, height))), faded)
    canvas = (canvas * 0.6).astype(np.uint8)
    for joint, colour, share in zip(joints, COLOURS, confidence, strict=True):
        if joint is not None:
            x, y = joint * (width, height)
            cv2.circle(canvas, (int(x), int(y)), 4, [int(channel * share) for channel in colour], -1)
    return canvas


def _faded_discs(
    canvas: Image,
    pixels: npt.NDArray[np.int_],
    inside: npt.NDArray[np.bool_],
    confidence: _Points,
    part: slice,
    radius: int,
    colour: tuple[int, int, int],
) -> None:
    for index in range(part.start, part.stop):
        if inside[index]:
            level = int(confidence[index] * 255)
            cv2.circle(canvas, pixels[index].tolist(), radius, [level * c for c in colour], -1)


_STYLES: Mapping[str, Callable[[npt.NDArray[Any], int, int], Image]] = {
    "dwpose": pose_image,
    "openpose": _openpose,
    "openpose18": _openpose18,
    "mimicmotion": _mimicmotion,
}
