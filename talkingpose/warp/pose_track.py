"""Causal completion and smoothing of driving poses, one frame at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.warp.geometry import Affine, Points, apply, fit_similarity
from talkingpose.warp.skeleton import ARMS, FACE_ROWS, HEAD, TORSO, body_size, present

# One Euro filter: cutoff in hertz at rest, its increase per body size a second, cutoff of the speed. The
# trunk is heavy: what is fast in its points is mostly noise. Arms and hands are quick.
_REST_HZ = 2.0
_SPEED_GAIN = 10.0
_TRUNK_REST_HZ = 0.8
_TRUNK_SPEED_GAIN = 2.5
_SPEED_HZ = 3.0
_UNFILTERED_HZ = 1e9
# A part with fewer points in a frame follows its parent.
_MIN_POINTS = 4
# A part does not grow or shrink by more than this from one frame to the next.
_STEP = (0.8, 1.25)


class PoseTrack:
    """Complete, smooth positions of the points that the portrait shows.

    A missing point follows the points of its part, a missing part its parent: the hand the forearm, the head
    and the arm the torso. Positions pass a One Euro filter (Casiez et al., CHI 2012), which smooths a
    resting point strongly and a fast one hardly.

    Args:
        portrait: (133, 3): x, y in pixels, confidence.
        fps: frames per second.
        height: of the frame in pixels.
        smooth_torso: smooth the torso; False where `with_steady_torso` has done it.
    """

    def __init__(
        self, portrait: npt.NDArray[Any], fps: float, height: int, *, smooth_torso: bool = True
    ) -> None:
        self.shown = present(portrait)
        self._fps = fps
        self._complete: Points = portrait[:, :2].astype(np.float64)
        self._size = body_size(self._complete, self.shown, height)
        self._smooth: Points | None = None
        self._speed = np.zeros_like(self._complete)
        self._rest_hz, self._speed_gain = (np.full(len(portrait), v) for v in (_REST_HZ, _SPEED_GAIN))
        for rows in (HEAD, TORSO):
            self._rest_hz[list(rows)], self._speed_gain[list(rows)] = _TRUNK_REST_HZ, _TRUNK_SPEED_GAIN
        if not smooth_torso:
            self._rest_hz[list(TORSO)] = _UNFILTERED_HZ

    def update(self, keypoints: npt.NDArray[Any]) -> Points:
        """Return positions (133, 2) in pixels; rows that the portrait lacks are meaningless.

        Args:
            keypoints: (133, 3) of the next frame: x, y in pixels, confidence.
        """
        found = present(keypoints) & self.shown
        self._complete = self._completed(keypoints[:, :2].astype(np.float64), found)
        return self._filtered(self._complete)

    def _completed(self, points: Points, found: npt.NDArray[np.bool_]) -> Points:
        """Return the positions with the missing ones carried on from the frame before."""
        complete = np.where(found[:, None], points, self._complete)
        body = self._motion(range(len(points)), points, found, np.eye(2, 3), least=1)
        torso = self._motion(TORSO, points, found, body, least=2)
        head = self._motion((*HEAD, *FACE_ROWS), points, found, torso)
        parts: list[tuple[tuple[int, ...], Affine]] = [(TORSO, torso), ((*HEAD, *FACE_ROWS), head)]
        for arm in ARMS:
            chain = (arm.shoulder, arm.elbow, arm.wrist)
            limb = self._motion(chain[1:], points, found, torso, least=2)
            parts += [(chain[1:], torso), (arm.hand, self._motion(arm.hand, points, found, limb))]
        for rows, motion in parts:
            lost = [row for row in rows if not found[row]]
            complete[lost] = apply(motion, self._complete[lost])
        return complete

    def _motion(
        self,
        rows: range | tuple[int, ...],
        points: Points,
        found: npt.NDArray[np.bool_],
        parent: Affine,
        least: int = _MIN_POINTS,
    ) -> Affine:
        """Return the motion of a part since the last frame; if few points are found, that of its parent."""
        seen = [row for row in rows if found[row]]
        if len(seen) < least:
            return parent
        return fit_similarity(self._complete[seen], points[seen], _STEP)

    def _filtered(self, points: Points) -> Points:
        if self._smooth is None:
            self._smooth = points.copy()
            return points
        speed = (points - self._smooth) * self._fps
        self._speed += _share(_SPEED_HZ, self._fps) * (speed - self._speed)
        pace = np.hypot(self._speed[:, 0], self._speed[:, 1]) / self._size
        cutoff = self._rest_hz + self._speed_gain * pace
        self._smooth = self._smooth + _share(cutoff[:, None], self._fps) * (points - self._smooth)
        return self._smooth


def _share(cutoff_hz: npt.ArrayLike, fps: float) -> npt.NDArray[np.float64]:
    """Return the weight of a new value in a first-order low-pass filter."""
    step = 2 * np.pi * np.asarray(cutoff_hz) / fps
    return np.asarray(step / (1 + step))
