"""Retargeting of driving poses to the proportions of another person.

Own definition, after the pose alignment of published animation demos: a similarity transform from the
shoulders and a length ratio for each limb. Lengths are measured in the picture, in one frame of each person,
so a limb that points at the camera looks short; `_LIMB_RANGE` bounds the effect.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.pose.keypoints import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND, PoseError, validate

Points = npt.NDArray[np.float64]

# Part of the protocol hash. Bump when the output changes.
VERSION = 1

_NOSE = 0
_HEAD = (1, 2, 3, 4)
_SHOULDERS = (5, 6)
# Parent and child of each limb, left and right; parents precede their children.
_LIMBS: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = (
    ((5, 7), (6, 8)),  # upper arms
    ((7, 9), (8, 10)),  # forearms
    ((5, 11), (6, 12)),  # trunk
    ((11, 13), (12, 14)),  # thighs
    ((13, 15), (14, 16)),  # shanks
)
_FOREARM = 1
_FEET = ((15, (17, 18, 19)), (16, (20, 21, 22)))
_HANDS = ((9, LEFT_HAND), (10, RIGHT_HAND))
# Range of the scale of a limb, face or hand relative to the scale of the body.
_LIMB_RANGE = (0.5, 2.0)
# Smallest measurable length, in frame heights.
_SHORTEST = 1e-4
# Tolerance for rounding at the edge of the frame.
_EDGE = 1e-6


def retarget(
    driving: npt.NDArray[Any],
    driver: npt.NDArray[Any],
    portrait: npt.NDArray[Any],
    *,
    aspect: float = 1.0,
) -> npt.NDArray[np.float32]:
    """Transform driving poses to the position, size and proportions of the portrait.

    The neck (midpoint of the shoulders) of `driver` maps to that of `portrait`, and the body is scaled about
    it by the ratio of the shoulder widths. Arms, trunk and legs keep the driving directions; each limb is
    scaled by the ratio of its lengths (the longer of left and right, over the sides that both show). The nose
    is placed relative to the neck in the same way. The face is scaled about the nose by the ratio of the face
    sizes (root mean square distance of its points from the nose), a hand about its wrist by the ratio of the
    hand sizes, else as the forearm. Ratios of parts are clipped to 0.5 to 2 times the ratio of the shoulders.

    Parts that cannot be measured in both persons are scaled as the body. If one person lacks a shoulder, the
    body is placed and scaled by centre and spread of all common points; with one common point it is only
    moved, with none it is unchanged. Points without a parent in a driving frame follow the body.

    Args:
        driving: (T, 133, 3) or (133, 3) floating point, as in `validate`.
        driver: (133, 3), the frame of the driving person in which lengths are measured.
        portrait: (133, 3), the portrait.
        aspect: width over height of the frames, equal for both.

    Returns:
        float32 of the shape of `driving`. Confidences are unchanged; points of confidence 0 and points
        outside the frame are zeros. If `driver` equals `portrait`, points do not move.

    Raises:
        PoseError: as in `validate`, another shape, or an aspect that is not a positive number.
    """
    validate(driving, "driving keypoints")
    for array, name in ((driver, "keypoints of the driver"), (portrait, "keypoints of the portrait")):
        validate(array, name)
        if array.ndim != 2:
            raise PoseError(f"{name}: shape {array.shape}: give one frame, (133, 3)")
    if not (np.isfinite(aspect) and aspect > 0):
        raise PoseError(f"aspect {aspect}: give width over height of the frame")
    unit = np.array([aspect, 1.0])
    frames = np.asarray(driving, np.float64).reshape(-1, NUM_KEYPOINTS, 3)
    proportions = _Proportions(_scaled(driver, unit), _scaled(portrait, unit))
    moved = np.stack([proportions.apply(_scaled(frame, unit)) for frame in frames]) if len(frames) else frames
    places = moved[..., :2] / unit
    inside = ((places >= -_EDGE) & (places <= 1 + _EDGE)).all(axis=-1) & (frames[..., 2] > 0)
    kept = np.concatenate([places.clip(0, 1), frames[..., 2:]], axis=-1) * inside[..., None]
    return np.asarray(kept.reshape(driving.shape), np.float32)


def fullest_frame(keypoints: npt.NDArray[Any]) -> int:
    """Return the index of the first frame with the most points; (T, 133, 3) keypoints, T > 0."""
    return int((keypoints[..., 2] > 0).sum(axis=1).argmax())


class _Proportions:
    """Measurements of the two persons: a similarity transform of the body, a ratio for each part."""

    def __init__(self, driver: Points, portrait: Points) -> None:
        self._driver, self._portrait = driver, portrait
        self._both = (driver[:, 2] > 0) & (portrait[:, 2] > 0)
        self._scale, self._from, self._to = self._body()
        self._limbs = [self._longer(pairs, self._scale) for pairs in _LIMBS]
        self._neck = self._bounded(_neck_length(driver), _neck_length(portrait), self._scale)
        self._face = self._size(_NOSE, [*_HEAD, *range(FACE.start, FACE.stop)], self._scale)
        forearm = self._limbs[_FOREARM]
        self._hands = [self._size(wrist, list(range(h.start, h.stop)), forearm) for wrist, h in _HANDS]

    def apply(self, frame: Points) -> Points:
        """Transform a driving frame, (133, 3); positions of missing points are undefined."""
        present = frame[:, 2] > 0
        places = frame[:, :2]
        moved = self._to + self._scale * (places - self._from)
        for pairs, ratio in zip(_LIMBS, self._limbs, strict=True):
            for parent, child in pairs:
                if present[parent]:
                    moved[child] = moved[parent] + ratio * (places[child] - places[parent])
        for ankle, toes in _FEET:
            if present[ankle]:
                moved[list(toes)] = moved[ankle] + self._limbs[-1] * (places[list(toes)] - places[ankle])
        self._move_head(moved, places, present)
        for (wrist, hand), ratio in zip(_HANDS, self._hands, strict=True):
            _about(wrist, list(range(hand.start, hand.stop)), ratio, moved, places, present)
        return np.concatenate([moved, frame[:, 2:]], axis=1)

    def _move_head(self, moved: Points, places: Points, present: npt.NDArray[np.bool_]) -> None:
        if present[list(_SHOULDERS)].all() and present[_NOSE]:
            neck = places[list(_SHOULDERS)].mean(axis=0)
            moved[_NOSE] = moved[list(_SHOULDERS)].mean(axis=0) + self._neck * (places[_NOSE] - neck)
        _about(_NOSE, [*_HEAD, *range(FACE.start, FACE.stop)], self._face, moved, places, present)

    def _body(self) -> tuple[float, Points, Points]:
        """Return the scale, and the point of the driver that maps to the point of the portrait."""
        shoulders = list(_SHOULDERS)
        rows = shoulders if self._both[shoulders].all() else np.flatnonzero(self._both)
        if not len(rows):
            return 1.0, np.zeros(2), np.zeros(2)
        driver, portrait = self._driver[rows, :2], self._portrait[rows, :2]
        centres = driver.mean(axis=0), portrait.mean(axis=0)
        spreads = [
            float(np.sqrt(np.square(points - centre).sum(axis=1).mean()))
            for points, centre in zip((driver, portrait), centres, strict=True)
        ]
        return (spreads[1] / spreads[0] if min(spreads) > _SHORTEST else 1.0), *centres

    def _bounded(self, driver: float | None, portrait: float | None, otherwise: float) -> float:
        """Return the clipped ratio of two lengths, `otherwise` if one is missing."""
        if driver is None or portrait is None or min(driver, portrait) <= _SHORTEST:
            return otherwise
        return self._scale * float(np.clip(portrait / driver / self._scale, *_LIMB_RANGE))

    def _longer(self, pairs: tuple[tuple[int, int], ...], otherwise: float) -> float:
        """Return the length ratio of a limb, over the sides that both persons show."""
        shown = [list(pair) for pair in pairs if self._both[list(pair)].all()]
        if not shown:
            return otherwise
        lengths = [
            max(float(np.linalg.norm(person[a, :2] - person[b, :2])) for a, b in shown)
            for person in (self._driver, self._portrait)
        ]
        return self._bounded(lengths[0], lengths[1], otherwise)

    def _size(self, anchor: int, rows: list[int], otherwise: float) -> float:
        """Return the ratio of the spreads of a face or hand about its anchor."""
        shown = [row for row in rows if self._both[row]]
        if not shown or not self._both[anchor]:
            return otherwise
        sizes = [
            float(np.sqrt(np.square(person[shown, :2] - person[anchor, :2]).sum(axis=1).mean()))
            for person in (self._driver, self._portrait)
        ]
        return self._bounded(sizes[0], sizes[1], otherwise)


def _about(
    anchor: int, rows: list[int], ratio: float, moved: Points, places: Points, present: npt.NDArray[np.bool_]
) -> None:
    """Scale points about their anchor; without it, about their centre, which follows the body."""
    shown = [row for row in rows if present[row]]
    if not shown:
        return
    if present[anchor]:
        old, new = places[anchor], moved[anchor]
    else:
        old, new = places[shown].mean(axis=0), moved[shown].mean(axis=0)
    moved[shown] = new + ratio * (places[shown] - old)


def _neck_length(person: Points) -> float | None:
    """Return the distance from the midpoint of the shoulders to the nose."""
    if not (person[[_NOSE, *_SHOULDERS], 2] > 0).all():
        return None
    return float(np.linalg.norm(person[_NOSE, :2] - person[list(_SHOULDERS), :2].mean(axis=0)))


def _scaled(keypoints: npt.NDArray[Any], unit: Points) -> Points:
    """Return keypoints in frame heights, so that lengths do not depend on direction."""
    points = np.asarray(keypoints, np.float64)
    return np.concatenate([points[..., :2] * unit, points[..., 2:]], axis=-1)
