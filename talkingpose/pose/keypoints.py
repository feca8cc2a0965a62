"""Keypoint schema: the 133 points of COCO-WholeBody.

Names, order and the edges of body, feet and hands are those of COCO-WholeBody (Jin et al., ECCV 2020); the 68
face points are in the order of iBUG 300-W. "Left" is the person's left.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.io.errors import UserError

NUM_KEYPOINTS = 133
BODY = slice(0, 17)
FEET = slice(17, 23)
FACE = slice(23, 91)
LEFT_HAND = slice(91, 112)
RIGHT_HAND = slice(112, 133)

Edges = tuple[tuple[int, int], ...]

_BODY_NAMES = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
_FEET_NAMES = (
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_HAND_NAMES = ("hand_root", *(f"{finger}{joint}" for finger in _FINGERS for joint in (1, 2, 3, 4)))

KEYPOINT_NAMES: tuple[str, ...] = (
    *_BODY_NAMES,
    *_FEET_NAMES,
    *(f"face-{i}" for i in range(68)),
    *(f"left_{name}" for name in _HAND_NAMES),
    *(f"right_{name}" for name in _HAND_NAMES),
)


def _named_edges(pairs: Iterable[tuple[str, str]]) -> Edges:
    index = {name: i for i, name in enumerate(KEYPOINT_NAMES)}
    return tuple((index[a], index[b]) for a, b in pairs)


def _face_chain(*points: int) -> Edges:
    return tuple((FACE.start + a, FACE.start + b) for a, b in pairwise(points))


def _hand_edges(root: int) -> Edges:
    # Five fingers of four joints, each a chain from the root of the hand.
    return tuple(
        (root if joint == 0 else root + 4 * finger + joint, root + 4 * finger + joint + 1)
        for finger in range(5)
        for joint in range(4)
    )


# All edges are pairs of indices into the 133 points.
BODY_EDGES: Edges = _named_edges(
    (
        ("left_ankle", "left_knee"),
        ("left_knee", "left_hip"),
        ("right_ankle", "right_knee"),
        ("right_knee", "right_hip"),
        ("left_hip", "right_hip"),
        ("left_shoulder", "left_hip"),
        ("right_shoulder", "right_hip"),
        ("left_shoulder", "right_shoulder"),
        ("left_shoulder", "left_elbow"),
        ("right_shoulder", "right_elbow"),
        ("left_elbow", "left_wrist"),
        ("right_elbow", "right_wrist"),
        ("left_eye", "right_eye"),
        ("nose", "left_eye"),
        ("nose", "right_eye"),
        ("left_eye", "left_ear"),
        ("right_eye", "right_ear"),
        ("left_ear", "left_shoulder"),
        ("right_ear", "right_shoulder"),
    )
)
FEET_EDGES: Edges = _named_edges(
    (
        ("left_ankle", "left_big_toe"),
        ("left_ankle", "left_small_toe"),
        ("left_ankle", "left_heel"),
        ("right_ankle", "right_big_toe"),
        ("right_ankle", "right_small_toe"),
        ("right_ankle", "right_heel"),
    )
)
FACE_EDGES: Edges = (
    *_face_chain(*range(17)),  # jaw, from the person's right ear to the left
    *_face_chain(*range(17, 22)),  # right brow
    *_face_chain(*range(22, 27)),  # left brow
    *_face_chain(*range(27, 31)),  # bridge of the nose
    *_face_chain(*range(31, 36)),  # base of the nose
    *_face_chain(*range(36, 42), 36),  # right eye
    *_face_chain(*range(42, 48), 42),  # left eye
    *_face_chain(*range(48, 60), 48),  # outer lips
    *_face_chain(*range(60, 68), 60),  # inner lips
)
LEFT_HAND_EDGES: Edges = _hand_edges(LEFT_HAND.start)
RIGHT_HAND_EDGES: Edges = _hand_edges(RIGHT_HAND.start)

# Mirror image of each of iBUG's 68 points; points on the midline map to themselves.
_FACE_MIRROR = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)


def _mirrored_index(index: int) -> int:
    name = KEYPOINT_NAMES[index]
    if name.startswith("face-"):
        return KEYPOINT_NAMES.index(f"face-{_FACE_MIRROR[int(name[5:])]}")
    side, _, rest = name.partition("_")
    other = {"left": "right", "right": "left"}.get(side)
    return index if other is None else KEYPOINT_NAMES.index(f"{other}_{rest}")


# `keypoints[..., MIRROR_PERMUTATION, :]` exchanges left and right.
MIRROR_PERMUTATION: tuple[int, ...] = tuple(_mirrored_index(i) for i in range(NUM_KEYPOINTS))


class PoseError(UserError):
    """Keypoints, an image or a pose estimator that cannot be used."""


def validate(keypoints: npt.NDArray[Any], where: str = "keypoints") -> None:
    """Check an array of COCO-WholeBody keypoints.

    Coordinates may lie outside [0, 1], because estimators place joints beyond the edge of the picture.

    Args:
        keypoints: floating point, (133, 3) or (T, 133, 3): normalised x, y and confidence in [0, 1].
        where: name of the array in messages.

    Raises:
        PoseError: wrong dtype or shape, NaN or infinity, or a confidence outside [0, 1].
    """
    if not isinstance(keypoints, np.ndarray) or not np.issubdtype(keypoints.dtype, np.floating):
        kind = keypoints.dtype if isinstance(keypoints, np.ndarray) else type(keypoints).__name__
        raise PoseError(f"{where}: {kind}: give a floating-point array")
    if keypoints.ndim not in (2, 3) or keypoints.shape[-2:] != (NUM_KEYPOINTS, 3):
        raise PoseError(f"{where}: shape {keypoints.shape}: give (133, 3) or (T, 133, 3)")
    finite = np.isfinite(keypoints).all(axis=-1)
    if not finite.all():
        raise PoseError(f"{where}: {_first(~finite)} is not finite: set missing points to zeros")
    confidence = keypoints[..., 2]
    outside = (confidence < 0) | (confidence > 1)
    if outside.any():
        value = float(confidence[outside][0])
        raise PoseError(f"{where}: confidence {value:g} of {_first(outside)}: give a value in [0, 1]")


def mirror(keypoints: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the keypoints of the picture flipped left to right.

    Args:
        keypoints: as in `validate`.

    Returns:
        A new array of the same shape and dtype; points of confidence 0 stay zeros.

    Raises:
        PoseError: as in `validate`.
    """
    validate(keypoints)
    mirrored = keypoints[..., MIRROR_PERMUTATION, :]
    mirrored[..., 0] = np.where(mirrored[..., 2] > 0, 1 - mirrored[..., 0], 0)
    return mirrored


def _first(wrong: npt.NDArray[np.bool_]) -> str:
    """Return the name of the first point marked in (133,) or (T, 133)."""
    *frame, point = (int(i) for i in np.argwhere(wrong)[0])
    return KEYPOINT_NAMES[point] + (f" in frame {frame[0]}" if frame else "")
