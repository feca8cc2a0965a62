"""COCO-WholeBody keypoints of a posed figure, and their visibility."""

from __future__ import annotations

import numpy as np

from curation.detect.measurements import BoolArray, FloatArray, Keypoints
from curation.synthetic import parts
from curation.synthetic.canvas import Mask
from curation.synthetic.figure import Figure
from curation.synthetic.head import LEFT_EYE, RIGHT_EYE
from talkingpose.pose.keypoints import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

# Confidence of a point in the frame that another part of the speaker hides.
OCCLUDED = 0.5

_ARMS = tuple((parts.UPPER_ARM[s], parts.FOREARM[s], parts.PALM[s], *parts.FINGERS[s]) for s in (0, 1))
_HANDS = tuple((parts.PALM[s], *parts.FINGERS[s]) for s in (0, 1))


def figure_keypoints(figure: Figure) -> FloatArray:
    """Keypoints of the figure, (133, 2) in the unit square; NaN for legs and feet."""
    points = np.full((NUM_KEYPOINTS, 2), np.nan)
    head = figure.head
    points[0] = head.landmarks[30]
    points[1] = head.landmarks[LEFT_EYE].mean(axis=0)
    points[2] = head.landmarks[RIGHT_EYE].mean(axis=0)
    points[[4, 3]] = head.ears
    # The figure has right before left, COCO has left before right.
    points[[6, 5]] = figure.shoulders[:, :2]
    points[[8, 7]] = figure.elbows[:, :2]
    points[[10, 9]] = figure.wrists[:, :2]
    points[[12, 11]] = figure.hips
    points[FACE] = head.landmarks
    points[RIGHT_HAND] = figure.hands[0].joints[:, :2]
    points[LEFT_HAND] = figure.hands[1].joints[:, :2]
    return points


def _hiding_parts() -> BoolArray:
    """Table (133, 256): whether a part that is visible at a keypoint hides the keypoint."""
    hides = np.zeros((NUM_KEYPOINTS, 256), bool)
    both = [*_ARMS[0], *_ARMS[1]]
    hides[:5, both] = True
    hides[np.ix_(range(23, 91), both)] = True
    hides[np.ix_((3, 4), (parts.HAIR, parts.LOCKS, parts.HAIR_BEHIND, parts.FACE))] = True
    hides[np.ix_((*range(23, 28), *range(35, 40), *range(40, 50)), (parts.HAIR, parts.LOCKS))] = True
    hides[np.ix_((*range(59, 71),), (parts.HAIR,))] = True
    for coco_side, side in ((0, 1), (1, 0)):
        own, other = _ARMS[side], _ARMS[1 - side]
        hides[np.ix_((5 + coco_side, 11 + coco_side), [*own[1:], *other])] = True
        hides[7 + coco_side, [*_HANDS[side], *other]] = True
        hides[9 + coco_side, list(other)] = True
        first = (LEFT_HAND, RIGHT_HAND)[coco_side].start
        for joint in range(21):
            allowed = {parts.FOREARM[side], parts.PALM[side]} if joint < 2 else set()
            if joint in (2, 5, 9, 13, 17):
                allowed = {parts.PALM[side]}
            if joint:
                allowed.add(parts.FINGERS[side][(joint - 1) // 4])
            hides[first + joint, sorted({*both} - allowed)] = True
    return hides


_HIDES = _hiding_parts()


def keypoints_seen(figure: Figure, owner: Mask) -> Keypoints:
    """Keypoints of the picture, float32 (133, 3): x, y in [0, 1] and confidence.

    The confidence is 1 for a visible point and 0.5 (`OCCLUDED`) for a point behind a nearer part of the
    speaker. Points outside the frame, legs and feet are zeros.

    Args:
        figure: Posed speaker.
        owner: uint8 (s, s), visible part of every pixel.
    """
    points = figure_keypoints(figure)
    size = owner.shape[0]
    with np.errstate(invalid="ignore"):
        inside = ((points >= 0.0) & (points <= 1.0)).all(axis=1)
    index = np.flatnonzero(inside)
    column, row = np.minimum((points[index] * size).astype(int), size - 1).T
    hidden = _HIDES[index, owner[row, column]]
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    keypoints[index, :2] = points[index]
    keypoints[index, 2] = np.where(hidden, OCCLUDED, 1.0)
    return keypoints
