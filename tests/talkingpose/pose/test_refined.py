"""Hands found again around the wrists, on drawn speakers with exact keypoints."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from curation.synthetic.render import frames as drawn
from talkingpose.pose import (
    FACE,
    LEFT_HAND,
    RIGHT_HAND,
    HolisticEstimator,
    PoseError,
    RefinedHolisticEstimator,
)
from talkingpose.pose import refined as module
from talkingpose.pose.draw import draw_pose
from talkingpose.pose.hand_model import Hand, HandModel, Region
from talkingpose.pose.refined import DOUBTFUL, UNSURE, _Arms, _assign, _moved_with

SEED = 5_000_006


@pytest.fixture(scope="module")
def speaker() -> tuple[np.ndarray, np.ndarray]:
    """A frame with both hands, and its keypoints."""
    ((image, truth),) = drawn(SEED, SEED, 1, 512)
    assert (truth[LEFT_HAND, 2] == 1).all() and (truth[RIGHT_HAND, 2] == 1).all()
    return image, truth


class Tampered(RefinedHolisticEstimator):
    """Refines what `change` makes of holistic's result."""

    def __init__(self, change) -> None:
        super().__init__()
        self._change = change

    def _keypoints(self, image, results):
        parts = ("pose_landmarks", "face_landmarks", "left_hand_landmarks", "right_hand_landmarks")
        copy = SimpleNamespace(**{name: getattr(results, name) for name in parts})
        self._change(copy)
        return super()._keypoints(image, copy)


def errors(found: np.ndarray, truth: np.ndarray, rows: slice) -> float:
    """Mean error of a part in shoulder widths."""
    width = np.hypot(*(truth[5, :2] - truth[6, :2]))
    return float(np.hypot(*(found[rows, :2] - truth[rows, :2]).T).mean() / width)


def estimate(estimator: HolisticEstimator, *images: np.ndarray) -> np.ndarray:
    with estimator:
        return np.stack([estimator(image) for image in images])


def test_region_around_a_hand_is_where_the_model_finds_it_again(speaker):
    image, truth = speaker
    model = HandModel()
    points = truth[LEFT_HAND, :2].astype(float) * 512
    turned = np.stack([512 - points[:, 1], points[:, 0]], 1)
    for picture, joints in ((image, points), (np.rot90(image, -1), turned)):
        hand = model(picture, Region.around(joints))
        assert hand is not None
        assert np.hypot(*(hand.points - joints).T).mean() < 0.1 * np.ptp(joints, axis=0).max()
        assert hand.right < 0.3
    assert model(np.zeros_like(image), Region(256, 256, 128, 0.0)) is None
    assert model(image, Region(-500, -500, 20, 0.0)) is None
    model.close()


def test_a_lost_hand_is_found_at_its_arm(speaker):
    image, truth = speaker

    def lose_right(results):
        results.right_hand_landmarks = None

    (*_, found) = estimate(Tampered(lose_right), image, image, image)
    assert (found[RIGHT_HAND, 2] == 1).all()
    assert errors(found, truth, RIGHT_HAND) < 0.1


def test_a_hand_drawn_twice_belongs_to_its_own_arm(speaker):
    image, truth = speaker

    def repeat_left(results):
        results.right_hand_landmarks = results.left_hand_landmarks

    (*_, found) = estimate(Tampered(repeat_left), image, image, image)
    assert errors(found, truth, LEFT_HAND) < 0.1
    assert errors(found, truth, RIGHT_HAND) < 0.1


def test_exchanged_hands_return_to_their_arms(speaker):
    image, truth = speaker

    def exchange(results):
        left, right = results.left_hand_landmarks, results.right_hand_landmarks
        results.left_hand_landmarks, results.right_hand_landmarks = right, left

    (found,) = estimate(Tampered(exchange), image)
    assert max(errors(found, truth, rows) for rows in (LEFT_HAND, RIGHT_HAND)) < 0.1


def test_a_repeated_hand_without_another_is_doubtful(speaker, monkeypatch):
    image, _ = speaker
    monkeypatch.setattr(module.RefinedHolisticEstimator, "_searched", lambda self, side, arms: iter(()))

    def repeat_left(results):
        results.right_hand_landmarks = results.left_hand_landmarks

    (found,) = estimate(Tampered(repeat_left), image)
    assert (found[LEFT_HAND, 2] == 1).all()
    assert found[RIGHT_HAND, 2] == pytest.approx(DOUBTFUL)


def test_a_lost_face_moves_with_the_head_for_a_while(speaker):
    image, truth = speaker
    count = 0

    def lose_face(results):
        nonlocal count
        count += 1
        if count > 1:
            results.face_landmarks = None

    moved = np.roll(image, 12, axis=1)
    first, second, *_, last = estimate(Tampered(lose_face), image, *[moved] * 13)
    assert (first[FACE, 2] == 1).all()
    assert second[FACE, 2] == pytest.approx(UNSURE)
    shifted = truth.copy()
    shifted[FACE, 0] += 12 / 512
    assert errors(second, shifted, FACE) < 0.06
    assert not last[FACE].any()


def test_nobody_has_no_hands():
    blank = np.zeros((120, 160, 3), np.uint8)
    assert not estimate(RefinedHolisticEstimator(), blank, blank).any()


def test_a_failure_of_the_hand_model_is_one_line(speaker, monkeypatch):
    def broken(self, image, region):
        raise RuntimeError("Graph has errors:\nno memory")

    monkeypatch.setattr(HandModel, "__call__", broken)
    with pytest.raises(PoseError, match="Graph has errors: no memory"):
        estimate(RefinedHolisticEstimator(), speaker[0])


def test_the_estimator_names_its_revision():
    with RefinedHolisticEstimator() as refined, HolisticEstimator() as plain:
        assert refined.name != plain.name
        assert refined.version.startswith(plain.version) and "hands=" in refined.version


def hand(x: float, y: float, right: float) -> Hand:
    points = np.array([x, y]) + 5.0 * np.stack([np.arange(21) % 5, np.arange(21) // 5], 1)
    return Hand(points, right)


def arms(left: tuple[float, float] | None, right: tuple[float, float] | None) -> _Arms:
    wrists = tuple(None if wrist is None else np.array(wrist) for wrist in (left, right))
    return _Arms(wrists, (None, None), (None, None), 100.0)


def test_hands_are_assigned_to_the_nearer_wrist_or_by_handedness():
    near_left, near_right = hand(300, 200, 0.1), hand(100, 200, 0.9)
    both = arms((300, 200), (100, 200))
    assert _assign([near_right, near_left], both) == [near_left, near_right]
    assert _assign([near_left], both) == [near_left, None]
    # Wrists in one place: the handedness decides.
    folded = arms((200, 200), (205, 200))
    one, other = hand(204, 203, 0.05), hand(200, 200, 0.95)
    assert _assign([other, one], folded) == [one, other]
    assert _assign([hand(900, 900, 0.1)], both) == [None, None]
    assert _assign([near_left], arms(None, (100, 200))) == [None, None]


def test_a_doubtful_hand_is_not_drawn(speaker):
    _, truth = speaker
    doubtful, without, unsure = truth.copy(), truth.copy(), truth.copy()
    for points, confidence in ((doubtful, DOUBTFUL), (without, 0), (unsure, UNSURE)):
        points[LEFT_HAND, 2] = confidence
    pictures = [draw_pose(points, 128, 128) for points in (doubtful, without, unsure)]
    assert (pictures[0] == pictures[1]).all() and (pictures[1] != pictures[2]).any()


def test_points_move_with_a_head_that_keeps_its_direction():
    before = np.array([[0.0, 0], [2, 0], [0, 2]])
    turn = 1.1 * np.array([[np.cos(0.2), np.sin(0.2)], [-np.sin(0.2), np.cos(0.2)]])
    moved = _moved_with(before, before @ turn + (10, 5), np.array([[1.0, 1]]))
    np.testing.assert_allclose(moved, np.array([[1.0, 1]]) @ turn + (10, 5))
    for now in (before[:, ::-1], 2 * before, before * (0.4, 1), before * (-1, 1)):
        assert _moved_with(before, now, before) is None
