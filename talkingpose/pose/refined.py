"""Estimator that checks every hand with a second run of the hand model around the wrist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.estimator import HolisticEstimator
from talkingpose.pose.hand_model import Hand, HandModel, Points, Region
from talkingpose.pose.holistic import from_holistic
from talkingpose.pose.keypoints import FACE, LEFT_HAND, RIGHT_HAND

# Bump when other keypoints result from the same frames.
REVISION = "1"
_ROWS = (LEFT_HAND, RIGHT_HAND)
# COCO's rows and mediapipe's landmarks of the arms, left before right.
_SHOULDERS, _ELBOWS, _WRISTS = (5, 6), (7, 8), (9, 10)
_INDEX_KNUCKLES, _PINKY_KNUCKLES = (19, 20), (17, 18)
_HEAD = slice(0, 5)
_MIN_CONFIDENCE = 0.3
# A forearm is at least this share of the shoulder width where perspective does not shorten it.
_FOREARM = 0.6
# Cost of a hand for a side: distance from the wrist in forearms plus the probability of the other side.
# A hand on its own wrist costs 0 to 0.3; one on the other wrist more than 1.
_MAX_COST = 0.8
_OTHER_SIDE = 0.6
# Two hands closer than this share of their size are one hand found twice.
_SAME = 0.35
# Crop of a hand in forearms, and its centre beyond the wrist.
_CROP, _REACH = 1.1, 0.4
# mediapipe's crop around the middle knuckle in palm lengths (hand_landmarks_from_pose_to_recrop_roi.pbtxt).
_POSE_CROP = 5.4
# A failed search is repeated in every third frame, which bounds the cost of a hand that nobody can see.
_RETRY = 3
# A track survives this many frames without a hand.
_TRACK_FRAMES = 6
# A lost face is carried with the head for half a second at 25 frames per second, as long as the head moves
# like a flat picture: a turned head has another face.
_CARRY_FRAMES = 12
_MAX_TURN, _MAX_SCALE, _MAX_RESIDUAL = 0.35, 1.2, 0.15
# Below the threshold of drawings: where the hand is not known.
DOUBTFUL = 0.2
# Predicted face points, and hands that only one of two runs found.
UNSURE = 0.4


@dataclass(frozen=True)
class _Arms:
    """Arms of one frame in pixels, left before right.

    Attributes:
        wrists: (x, y), None where the wrist is not in the picture.
        elbows: the same.
        palms: (wrist, middle knuckle) as the body model sees them, None without a wrist.
        forearm: length of a forearm seen from the side.
    """

    wrists: tuple[Points | None, Points | None]
    elbows: tuple[Points | None, Points | None]
    palms: tuple[tuple[Points, Points] | None, tuple[Points, Points] | None]
    forearm: float

    def cost(self, side: int, hand: Hand) -> float:
        """Implausibility of a hand for a side; infinite without a wrist."""
        wrist = self.wrists[side]
        if wrist is None:
            return float("inf")
        distance = float(np.hypot(*(hand.points[0] - wrist))) / self.forearm
        return distance + _OTHER_SIDE * (1 - hand.right if side else hand.right)


class RefinedHolisticEstimator(HolisticEstimator):
    """`HolisticEstimator` whose hands are found again on crops and assigned to the arms.

    Holistic tracks each hand by itself and may follow one hand twice, or lose a hand that is plainly there.
    Each hand is therefore estimated again on a crop around it; where that fails, on crops around the wrist of
    the body and around its last place. The distance from the wrists and the model's handedness decide the
    side. A hand that only repeats the other one keeps its points with confidence 0.2. A face that is lost
    (behind a hand) is carried along with the head for half a second, with confidence 0.4.

    Args:
        model_complexity: See `HolisticEstimator`.

    Raises:
        PoseError: mediapipe's installation has no such model.
    """

    name = "mediapipe-holistic-refined"

    def __init__(self, *, model_complexity: int = 1) -> None:
        super().__init__(model_complexity=model_complexity)
        self.version += f" hands={REVISION}"
        self._model: HandModel | None = None
        self._tracks: list[tuple[Region, int] | None] = [None, None]
        self._face: tuple[npt.NDArray[np.float32], int] | None = None
        self._count = 0

    def close(self) -> None:
        """Release mediapipe's graphs. Can be called repeatedly."""
        super().close()
        model, self._model = self._model, None
        if model is not None:
            model.close()

    def _keypoints(self, image: Image, results: Any) -> npt.NDArray[np.float32]:
        keypoints = from_holistic(results)
        self._count += 1
        arms = _arms(keypoints, results, image)
        if arms is not None:
            self._refine_hands(keypoints, image, arms)
        self._carry_face(keypoints, image)
        return keypoints

    def _refine_hands(self, keypoints: npt.NDArray[np.float32], image: Image, arms: _Arms) -> None:
        """Replace the rows of both hands."""
        if self._model is None:
            self._model = HandModel()
        height, width = image.shape[:2]
        size = np.array([width, height], np.float64)
        given = [_given(keypoints[rows], size) for rows in _ROWS]
        found: list[Hand] = []
        twice = given[1] is not None and _repeats(given[0], given[1])
        for points in given[:1] if twice else given:
            if points is not None:
                _add(found, self._model(image, Region.around(points)))
        best = _assign(found, arms)
        for side in range(2):
            if best[side] is None and arms.wrists[side] is not None:
                for region in self._searched(side, arms):
                    hand = self._model(image, region)
                    if hand is not None and arms.cost(side, hand) <= _MAX_COST:
                        # The first crop is rough: one around the joints found is centred and upright.
                        hand = self._model(image, Region.around(hand.points))
                    _add(found, hand)
                    best = _assign(found, arms)
                    if best[side] is not None:
                        break
        for side, rows in enumerate(_ROWS):
            hand = best[side]
            if hand is not None:
                self._tracks[side] = Region.around(hand.points), self._count
                keypoints[rows] = _rows(hand.points / size)
            elif given[side] is not None:
                other = best[1 - side]
                doubtful = other is not None and _repeats(given[side], other.points)
                keypoints[rows, 2] *= DOUBTFUL if doubtful else UNSURE

    def _searched(self, side: int, arms: _Arms) -> Iterator[Region]:
        """Regions in which the hand of an arm may be: its last place, then the end of the arm."""
        track = self._tracks[side]
        if track is not None and self._count - track[1] <= _TRACK_FRAMES:
            yield track[0]
        if self._count % _RETRY:
            return
        palm, elbow, wrist = arms.palms[side], arms.elbows[side], arms.wrists[side]
        if palm is not None:
            length = max(float(np.hypot(*(palm[1] - palm[0]))), 0.2 * arms.forearm)
            yield Region.along(*palm, _POSE_CROP * length)
        if elbow is not None and wrist is not None:
            end = wrist + _REACH * (wrist - elbow)
            yield Region.along(elbow, end, _CROP * arms.forearm)

    def _carry_face(self, keypoints: npt.NDArray[np.float32], image: Image) -> None:
        """Remember a face, or predict a lost one from the movement of the head."""
        if keypoints[FACE, 2].any():
            self._face = keypoints.copy(), self._count
            return
        if self._face is None or self._count - self._face[1] > _CARRY_FRAMES:
            return
        before = self._face[0]
        head = (np.minimum(before[_HEAD, 2], keypoints[_HEAD, 2]) >= _MIN_CONFIDENCE).nonzero()[0]
        if len(head) < 3:
            return
        size = np.array([image.shape[1], image.shape[0]], np.float64)
        moved = _moved_with(before[head, :2] * size, keypoints[head, :2] * size, before[FACE, :2] * size)
        if moved is None:
            return
        keypoints[FACE] = _rows(moved / size, UNSURE)
        keypoints[FACE][before[FACE, 2] == 0] = 0


def _arms(keypoints: npt.NDArray[np.float32], results: Any, image: Image) -> _Arms | None:
    """Arms of the person; None without a body."""
    if results.pose_landmarks is None:
        return None
    size = np.array([image.shape[1], image.shape[0]], np.float64)
    landmarks = results.pose_landmarks.landmark
    wrists, elbows = ([_point(keypoints[row], size) for row in pair] for pair in (_WRISTS, _ELBOWS))
    palms: list[tuple[Points, Points] | None] = []
    lengths = []
    for side in range(2):
        wrist, elbow = wrists[side], elbows[side]
        index, pinky = (
            np.array([landmarks[pair[side]].x, landmarks[pair[side]].y]) * size
            for pair in (_INDEX_KNUCKLES, _PINKY_KNUCKLES)
        )
        palms.append(None if wrist is None else (wrist, (2 * index + pinky) / 3))
        if wrist is not None and elbow is not None:
            lengths.append(float(np.hypot(*(wrist - elbow))))
    shoulders = [_point(keypoints[row], size) for row in _SHOULDERS]
    if shoulders[0] is not None and shoulders[1] is not None:
        lengths.append(_FOREARM * float(np.hypot(*(shoulders[0] - shoulders[1]))))
    forearm = max(lengths, default=0.0)
    if forearm < 1:
        return None
    return _Arms((wrists[0], wrists[1]), (elbows[0], elbows[1]), (palms[0], palms[1]), forearm)


def _point(row: npt.NDArray[np.float32], size: Points) -> Points | None:
    return None if row[2] < _MIN_CONFIDENCE else row[:2] * size


def _given(rows: npt.NDArray[np.float32], size: Points) -> Points | None:
    """Joints of a hand in pixels if all are inside the picture."""
    return rows[:, :2] * size if (rows[:, 2] > 0).all() else None


def _add(hands: list[Hand], hand: Hand | None) -> None:
    """Append a hand that is not in the list yet."""
    if hand is not None and not any(_repeats(hand.points, other.points) for other in hands):
        hands.append(hand)


def _repeats(one: Points | None, other: Points) -> bool:
    """Return whether two sets of joints show one hand."""
    if one is None:
        return False
    size = max(float(np.ptp(points, axis=0).max()) for points in (one, other))
    return float(np.hypot(*(one - other).T).mean()) < _SAME * size


def _assign(hands: list[Hand], arms: _Arms) -> list[Hand | None]:
    """Choose the hands of the left and of the right arm with the least cost; a missing hand has the limit."""
    choices = [*hands, None]
    costs = [[_MAX_COST if hand is None else arms.cost(side, hand) for hand in choices] for side in range(2)]
    pairs = [
        (costs[0][i] + costs[1][j], i, j)
        for i in range(len(choices))
        for j in range(len(choices))
        if i != j or choices[i] is None
    ]
    _, left, right = min(pairs)
    return [choices[left], choices[right]]


def _rows(points: Points, confidence: float = 1.0) -> npt.NDArray[np.float32]:
    """Rows of keypoints (N, 3); zeros outside the picture."""
    rows = np.column_stack([points, np.full(len(points), confidence)]).astype(np.float32)
    rows[~((points >= 0) & (points <= 1)).all(axis=1)] = 0
    return rows


def _moved_with(before: Points, now: Points, points: Points) -> Points | None:
    """Apply the similarity that best moves `before` to `now`, (N, 2) each, to other points.

    Returns:
        None where the movement is not that of a head that keeps its direction.
    """
    plane = np.array([1, 1j])
    middle, target = before.mean(axis=0), now.mean(axis=0)
    one, other = (before - middle) @ plane, (now - target) @ plane
    turn = np.vdot(one, other) / max(float(np.vdot(one, one).real), 1e-9)
    scale = max(abs(turn), 1e-9)
    residual = float(np.linalg.norm(other - turn * one) / max(float(np.linalg.norm(other)), 1e-9))
    if abs(np.angle(turn)) > _MAX_TURN or max(scale, 1 / scale) > _MAX_SCALE or residual > _MAX_RESIDUAL:
        return None
    moved = (points - middle) @ plane * turn
    return np.asarray(np.column_stack([moved.real, moved.imag]) + target, np.float64)
