"""Pose motion: motion of the generated person over that of the driving poses."""

from __future__ import annotations

import numpy as np

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.keypoint_parts import PARTS, TARGETED, pixels, present
from benchmark.results import CaseScore


class PoseMotion:
    """Path of the points of the body over their path in the driving poses."""

    spec = MetricSpec(
        id="pose_motion",
        title="Motion of the body relative to the driving poses",
        version=1,
        unit="1",
        direction="none",
        scope="clip",
        lookback=1,
        definition=(
            f"{TARGETED}Sum over frames of the distances that points of the body move from frame to frame "
            "in the generated video, over the same sum in the poses. A point counts where both frames and "
            "both poses show it. Coverage: pairs of frames with such a point, of all; below 1 the state is "
            "partial."
        ),
        source="own; the counterpart of motion_ratio without a real video",
        blind_spots=(
            "a frozen video does not reach 0, because the detector settles; direction and time of the "
            "motion; jitter of the detector, which raises it, and its smoothing, which lowers it; face and "
            "fingers"
        ),
        features=("pose",),
        target=1.0,
        needs_real=False,
        needs_keypoints=True,
    )

    def start(self, case: CaseShape) -> PoseMotionState:
        """Begin a clip."""
        return PoseMotionState(case)


class PoseMotionState:
    """Running lengths of both paths."""

    def __init__(self, case: CaseShape) -> None:
        self._case = case
        self._wanted = self._found = 0.0
        self._judged = self._pairs = 0

    def update(self, window: FrameWindow) -> float | None:
        """Add the newest step; a frame has no score."""
        found = [window.feature("pose", "generated")[PARTS["body"]]]
        if window.t < 1:
            return None
        found.append(window.feature("pose", "generated", 1)[PARTS["body"]])
        wanted = [window.keypoints(back)[PARTS["body"]] for back in (0, 1)]
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
        """Return the ratio of the two lengths; `n_frames` counts the pairs of frames with a point."""
        if not self._judged:
            reason = "no two consecutive frames and their poses show a common point of the body"
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
