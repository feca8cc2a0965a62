from __future__ import annotations

import numpy as np
import pytest

from talkingpose.pose.face_retarget import retarget_face
from talkingpose.pose.keypoints import FACE, PoseError


def face(width: float = 1.0, opening: float = 0.0, eyes: float = 1.0) -> np.ndarray:
    """Keypoints (133, 3) of a symmetric face; `width` stretches it, `opening` lowers the lower lip."""
    points = np.zeros((68, 2))
    angles = np.linspace(np.pi, 0, 17)
    points[:17] = np.c_[np.cos(angles), 1.2 * np.sin(angles)]
    points[17:22] = np.c_[np.linspace(-0.75, -0.2, 5), np.full(5, -0.35)]
    points[22:27] = np.c_[np.linspace(0.2, 0.75, 5), np.full(5, -0.35)]
    points[27:31] = np.c_[np.zeros(4), np.linspace(-0.1, 0.35, 4)]
    points[31:36] = np.c_[np.linspace(-0.15, 0.15, 5), np.full(5, 0.42)]
    for start, x in ((36, -0.45), (42, 0.45)):
        ring = np.linspace(np.pi, 3 * np.pi, 7)[:-1]
        points[start : start + 6] = np.c_[x + 0.16 * np.cos(ring), 0.06 * eyes * np.sin(ring)]
    outer = np.linspace(np.pi, 3 * np.pi, 13)[:-1]
    inner = np.linspace(np.pi, 3 * np.pi, 9)[:-1]
    points[48:60] = np.c_[0.35 * np.cos(outer), 0.7 + 0.1 * np.sin(outer)]
    points[60:68] = np.c_[0.28 * np.cos(inner), 0.7 + 0.02 * np.sin(inner)]
    points[[55, 56, 57, 58, 59, 65, 66, 67], 1] += opening
    points[5:12, 1] += opening
    keypoints = np.zeros((133, 3), np.float32)
    keypoints[FACE, :2] = 0.5 + 0.1 * points * (width, 1)
    keypoints[FACE, 2] = 1
    keypoints[[1, 2, 3, 4]] = [
        [*keypoints[FACE, :2][rows].mean(axis=0), 1] for rows in (slice(42, 48), slice(36, 42), [16], [0])
    ]
    return keypoints


def gap(keypoints: np.ndarray) -> float:
    points = keypoints[FACE, :2]
    return float(np.hypot(*(points[66] - points[62])) / np.hypot(*(points[54] - points[48])))


def test_the_shape_is_the_portraits_and_the_mouth_the_drivers() -> None:
    openings = (0.0, 0.2, 0.4, 0.1)
    driving = np.stack([face(0.8, opening) for opening in openings])
    portrait = face(1.1)
    moved = retarget_face(driving, portrait)
    np.testing.assert_allclose(np.ptp(moved[0, FACE, 0]) / np.ptp(portrait[FACE, 0]), 0.8 / 1.1, rtol=0.35)
    shape = [np.ptp(k[FACE][:17, 0]) / np.ptp(k[FACE][17:48, 1]) for k in (moved[0], portrait, driving[0])]
    assert abs(shape[0] - shape[1]) < 0.15 * abs(shape[2] - shape[1])
    wanted, found = ([gap(k) for k in poses] for poses in (driving, moved))
    assert np.corrcoef(wanted, found)[0, 1] > 0.99
    np.testing.assert_allclose(moved[:, FACE][:, 30], driving[:, FACE][:, 30], atol=1e-6)


def test_an_open_mouth_of_the_portrait_closes_and_eyes_close() -> None:
    driving = np.stack([face(eyes=1.0), face(eyes=0.0)])
    moved = retarget_face(driving, face(opening=0.3, eyes=1.5))
    assert gap(moved[0]) < 1.2 * gap(driving[0])
    heights = [np.ptp(k[FACE, 1][36:42]) for k in moved]
    assert heights[1] < 0.05 * heights[0]


def test_a_turned_head_turns_the_portrait() -> None:
    still, angle = face(0.9), 0.4
    turned = still.copy()
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    present = turned[:, 2] > 0
    turned[present, :2] = 0.5 + (turned[present, :2] - 0.5) @ rotation.T
    moved = retarget_face(np.stack([still, turned]), face(1.0))
    across = [k[FACE, :2][45] - k[FACE, :2][36] for k in moved]
    turn = np.arctan2(across[1][1], across[1][0]) - np.arctan2(across[0][1], across[0][0])
    assert turn == pytest.approx(angle, abs=0.02)


def test_the_same_face_does_not_move_and_incomplete_ones_are_left() -> None:
    same = np.stack([face()] * 2)
    np.testing.assert_allclose(retarget_face(same, face()), same, atol=1e-5)
    half = face()
    half[40] = 0
    np.testing.assert_array_equal(retarget_face(half[None], face(1.2)), half[None])
    np.testing.assert_array_equal(retarget_face(same, half), same)
    with pytest.raises(PoseError, match="give"):
        retarget_face(face(), face())
