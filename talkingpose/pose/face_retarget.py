"""Expressions of a driving face on the face of a portrait, feature by feature.

Own definition. `retarget` scales the driver's face to the size of the portrait's and keeps its shape. Here
the shape is the portrait's: only the motion of head, eyes, brows, mouth and jaw is taken over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.pose.keypoints import FACE, PoseError, validate

Points = npt.NDArray[np.float64]

# Rows within the 68 face points (iBUG).
_NOSE_TIP = 30
_RIGID = (0, 1, 15, 16, 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45)
_EYES = (tuple(range(36, 42)), tuple(range(42, 48)))
_BROWS = (tuple(range(17, 22)), tuple(range(22, 27)))
_MOUTH, _JAW = tuple(range(48, 68)), tuple(range(4, 13))
_LOWER_LIP = (55, 56, 57, 58, 59, 65, 66, 67)
_UPPER_GAP, _LOWER_GAP, _CORNERS = (61, 62, 63), (67, 66, 65), (48, 54)
# Share of the opening of the mouth that the points of the chin follow, from jaw to jaw.
_CHIN = np.array([0.1, 0.3, 0.6, 0.9, 1.0, 0.9, 0.6, 0.3, 0.1])
# Range of the size of a feature relative to the face, and of the deformation of a turned head.
_FEATURE_RANGE, _TURN_RANGE = (0.5, 2.0), (0.5, 1.5)
# Distance of the rigid points, in sizes of the face, up to which a head counts as turned like the portrait's,
# and from which it is turned away from it and its shape says nothing about the person.
_SAME_TURN, _OTHER_TURN = 0.2, 0.3
# Body points of the head and the face points whose motion they share.
_HEAD = ((1, _EYES[1]), (2, _EYES[0]), (3, (16,)), (4, (0,)))
_EDGE = 1e-6


def retarget_face(
    driving: npt.NDArray[Any], portrait: npt.NDArray[Any], *, aspect: float = 1.0
) -> npt.NDArray[np.float32]:
    """Give the driving poses the face of the portrait, with the expressions of the driver.

    The frame whose head is turned most like the portrait's, with the most similar mouth and eyes, is taken
    for the portrait's expression. Every frame is compared with it: an affine map of the rigid points is the
    motion of the head, the rest is expression. Eyes close in proportion to their own opening; brows, mouth
    and jaw move in proportion to their size; the mouth opens as far as the driver's relative to its width.
    Frames that lack a face point are unchanged, as is everything if the portrait lacks one, or if no driving
    head is turned nearly like the portrait's: a profile says little about a face seen from the front.

    Args:
        driving: (T, 133, 3) floating point, with the place and size of the portrait; see `retarget`.
        portrait: (133, 3).
        aspect: width over height of the frames, equal for both.

    Returns:
        float32 (T, 133, 3). Only points of face, eyes and ears move; one that leaves the frame is zero.

    Raises:
        PoseError: as in `validate`, or another shape.
    """
    validate(driving, "driving keypoints")
    validate(portrait, "keypoints of the portrait")
    if driving.ndim != 3 or portrait.ndim != 2:
        raise PoseError(f"keypoints {driving.shape} and {portrait.shape}: give (T, 133, 3) and (133, 3)")
    result = np.asarray(driving, np.float32).copy()
    complete = np.flatnonzero((driving[:, FACE, 2] > 0).all(axis=1))
    if not len(complete) or not (portrait[FACE, 2] > 0).all():
        return result
    unit = np.array([aspect, 1.0])
    faces = driving[complete][:, FACE, :2].astype(np.float64) * unit
    own = portrait[FACE, :2].astype(np.float64) * unit
    neutral, turn = _neutral(faces, own)
    weight = float(np.clip((_OTHER_TURN - turn) / (_OTHER_TURN - _SAME_TURN), 0, 1))
    if not weight:
        return result
    transfer = _Transfer(faces[neutral], own)
    for row, face in zip(complete, faces, strict=True):
        shift = weight * (transfer.apply(face) - face) / unit
        result[row, FACE, :2] += shift
        for point, rows in _HEAD:
            if driving[row, point, 2] > 0:
                result[row, point, :2] += shift[list(rows)].mean(axis=0)
    inside = ((result[..., :2] >= -_EDGE) & (result[..., :2] <= 1 + _EDGE)).all(axis=-1)
    result[..., :2] = result[..., :2].clip(0, 1)
    return np.asarray(result * inside[..., None], np.float32)


class _Transfer:
    """Map from faces of the driver to the portrait; points (68, 2) in frame heights."""

    def __init__(self, neutral: Points, portrait: Points) -> None:
        self._neutral, self._portrait = neutral, portrait
        rigid = list(_RIGID)
        # Linear part of the similarity from the neutral face to the portrait.
        self._linear = _similarity(neutral[rigid], portrait[rigid])
        scale = float(np.sqrt(abs(np.linalg.det(self._linear))))
        self._gain = np.ones((68, 2))
        for eye, brow in zip(_EYES, _BROWS, strict=True):
            self._set_gain(eye, _height(portrait, eye), scale * _height(neutral, eye))
            self._set_gain(brow, _rise(portrait, brow, eye), scale * _rise(neutral, brow, eye))
        width = _width(portrait)
        self._set_gain(_MOUTH, width, scale * _width(neutral))
        self._set_gain(_JAW, _drop(portrait), scale * _drop(neutral))
        # The portrait's mouth may be open: the driver's opening replaces its own.
        down = portrait[list(_JAW)].mean(axis=0) - portrait[27]
        down /= max(float(np.hypot(*down)), 1e-6)
        self._base = portrait.copy()
        closing = (_opening(neutral) - _opening(portrait)) * width
        self._base[list(_LOWER_LIP)] += closing * down
        self._base[list(_JAW)] += closing * _CHIN[:, None] * down

    def apply(self, face: Points) -> Points:
        """Return the portrait's face with head and expression of a driving face."""
        rigid = list(_RIGID)
        turn = _affine(self._neutral[rigid], face[rigid])
        still = (face - face[_NOSE_TIP]) @ np.linalg.inv(turn).T + self._neutral[_NOSE_TIP]
        expression = (still - self._neutral) @ self._linear.T
        expression[rigid] = 0
        canonical = self._base + self._gain * expression
        relative = (canonical - canonical[_NOSE_TIP]) @ np.linalg.inv(self._linear).T
        return np.asarray(face[_NOSE_TIP] + relative @ turn.T, np.float64)

    def _set_gain(self, rows: tuple[int, ...], own: float, other: float) -> None:
        ratio = own / other if other > 1e-6 else 1.0
        self._gain[list(rows)] = np.clip(ratio, *_FEATURE_RANGE)


def _neutral(faces: Points, portrait: Points) -> tuple[int, float]:
    """Return the index of the face (T, 68, 2) most like the portrait's, and how differently it is turned."""
    rigid = list(_RIGID)
    size = float(np.sqrt(np.square(portrait - portrait.mean(axis=0)).sum(axis=1).mean()))
    costs, turns = [], []
    for face in faces:
        linear = _similarity(face[rigid], portrait[rigid])
        aligned = (face[rigid] - face[rigid].mean(axis=0)) @ linear.T
        away = aligned - (portrait[rigid] - portrait[rigid].mean(axis=0))
        turn = float(np.sqrt(np.square(away).sum(axis=1).mean())) / max(size, 1e-6)
        eyes = sum(abs(_openness(face, eye) - _openness(portrait, eye)) for eye in _EYES)
        costs.append(turn + 0.2 * abs(_opening(face) - _opening(portrait)) + 0.2 * eyes)
        turns.append(turn)
    best = int(np.argmin(costs))
    return best, turns[best]


def _similarity(source: Points, target: Points) -> Points:
    """Return the rotation times scale (2, 2) that maps centred points best (Umeyama, 1991)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    spread = float(np.square(a).sum())
    if spread < 1e-12:
        return np.eye(2)
    cosine = float((a * b).sum()) / spread
    sine = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return linear if np.hypot(cosine, sine) > 1e-3 else np.eye(2)


def _affine(source: Points, target: Points) -> Points:
    """Return the linear part (2, 2) of the affine map of points, kept near a similarity."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    similar = _similarity(source, target)
    solved = np.linalg.lstsq(a, b, rcond=None)[0].T
    relative = np.linalg.inv(similar) @ solved
    left, values, right = np.linalg.svd(relative)
    if np.linalg.det(relative) <= 0:
        return similar
    return np.asarray(similar @ (left @ np.diag(np.clip(values, *_TURN_RANGE)) @ right), np.float64)


def _height(face: Points, eye: tuple[int, ...]) -> float:
    """Return the opening of an eye."""
    upper, lower = face[[eye[1], eye[2]]].mean(axis=0), face[[eye[4], eye[5]]].mean(axis=0)
    return float(np.hypot(*(lower - upper)))


def _openness(face: Points, eye: tuple[int, ...]) -> float:
    return _height(face, eye) / max(float(np.hypot(*(face[eye[3]] - face[eye[0]]))), 1e-6)


def _rise(face: Points, brow: tuple[int, ...], eye: tuple[int, ...]) -> float:
    return float(np.hypot(*(face[list(brow)].mean(axis=0) - face[list(eye)].mean(axis=0))))


def _width(face: Points) -> float:
    return max(float(np.hypot(*(face[_CORNERS[1]] - face[_CORNERS[0]]))), 1e-6)


def _drop(face: Points) -> float:
    """Return the distance from nose tip to chin."""
    return float(np.hypot(*(face[8] - face[_NOSE_TIP])))


def _opening(face: Points) -> float:
    """Return the gap between the inner lips over the width of the mouth."""
    gap = face[list(_LOWER_GAP)].mean(axis=0) - face[list(_UPPER_GAP)].mean(axis=0)
    down = face[8] - face[27]
    return float(gap @ down) / max(float(np.hypot(*down)), 1e-6) / _width(face)
