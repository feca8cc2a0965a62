"""Pose motion: how much the generated person moves, next to the driving poses."""

from __future__ import annotations

import numpy as np

from benchmark.metrics.keypoint_parts import TARGETED, pixels, present
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

BODY = slice(0, 17)


class PoseMotion:
    """Path of the body's points over the path that was asked for."""

    spec = MetricSpec(
        id="pose_motion",
        version=1,
        unit="1",
        direction="none",
        scope="clip",
        lookback=1,
        definition=(
            f"{TARGETED}Sum over frames of the distances that points of the body move from frame to frame "
            "in the generated video, over that of the same points in the poses; a point counts where it is "
            "there in both in both frames. Coverage: pairs of frames with such a point, of all; below 1 "
            "the state is partial."
        ),
        source="own; the companion of motion_ratio where there is no real video",
        blind_spots=(
            "a frozen video is not quite 0, for the detector settles; direction and time of the motion; "
            "jitter of the detector, which adds to it, and its smoothing, which takes from it; face and "
            "fingers"
        ),
        features=("pose",),
        target=1.0,
        needs_real=False,
        needs_keypoints=True,
    )

    def start(self, case: CaseShape) -> PoseMotionState:
        """A fresh state for one clip."""
        return PoseMotionState(case)


class PoseMotionState:
    """Two running lengths."""

    def __init__(self, case: CaseShape) -> None:
        self._case = case
        self._wanted = self._found = 0.0
        self._judged = self._pairs = 0

    def update(self, window: PairWindow) -> float | None:
        """Add the newest step; there is no score of a frame."""
        found = [window.feature("pose", "generated")[BODY]]
        if window.t < 1:
            return None
        found.append(window.feature("pose", "generated", 1)[BODY])
        wanted = [window.keypoints(back)[BODY] for back in (0, 1)]
        there = np.logical_and.reduce([present(points) for points in (*found, *wanted)])
        self._pairs += 1
        self._judged += bool(there.any())
        lengths = [
            float(
                np.linalg.norm(pixels(now[there], self._case) - pixels(then[there], self._case), axis=1).sum()
            )
            for now, then in (found, wanted)
        ]
        self._found += lengths[0]
        self._wanted += lengths[1]
        return None

    def finish(self) -> CaseScore:
        """Ratio of the two lengths; `n_frames` counts the pairs of frames that have a point."""
        if not self._judged:
            reason = "no point of the body is there in two following frames and in their poses"
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        if not self._wanted:
            reason = "the driving poses do not move"
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        missed = self._pairs - self._judged
        return CaseScore(
            value=self._found / self._wanted,
            n_frames=self._judged,
            coverage=self._judged / self._pairs,
            state="partial" if missed else "ok",
            reason=f"no body found in {missed} of {self._pairs} pairs of frames" if missed else None,
        )
