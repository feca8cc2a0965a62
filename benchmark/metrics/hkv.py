"""HKV: motion of the hands, alone and relative to the real video."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.akd import NO_SHOULDERS
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.keypoint_parts import DETECTED, PARTS, part_score, pixels, present, shoulder_width
from benchmark.results import CaseScore

ROWS = PARTS["hands"]

_SPREAD = (
    f"{DETECTED}For each of the 42 points of the hands, variance over time of x plus that of y, over the "
    "frames in which the point is present in both videos (at least two); mean over these points"
)
_COVERAGE = " Coverage: frames with such a point, of those where the real frame has any; below 1: partial."


@dataclass(frozen=True)
class Hkv:
    """Hand keypoint variance: `amount` of the generated video, or `ratio` to the real one."""

    kind: Literal["amount", "ratio"]

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        ratio = self.kind == "ratio"
        return MetricSpec(
            id="hkv_ratio" if ratio else "hkv",
            title="Motion of the hands, alone and relative to the real video",
            version=1,
            unit="1" if ratio else "squared shoulder widths",
            direction="none",
            scope="clip",
            lookback=0,
            definition=(
                f"{_SPREAD}: of the generated video, divided by that of the real one.{_COVERAGE}"
                if ratio
                else f"{_SPREAD}, divided by the square of the median distance of the shoulders in the real "
                f"frames.{_COVERAGE}"
            ),
            source=(
                "own: no public definition of the HKV of EchoMimicV2 (Meng et al. 2024) exists; not "
                "comparable with the numbers of that paper"
            ),
            blind_spots="direction and time of the motion; jitter counts as motion",
            features=("pose",),
            target=1.0 if ratio else None,
        )

    def start(self, case: CaseShape) -> HkvState:
        """Begin a clip."""
        return HkvState(self.kind, case)


class HkvState:
    """Running mean and variance of each point (Welford 1962), and a shoulder width for each frame."""

    def __init__(self, kind: Literal["amount", "ratio"], case: CaseShape) -> None:
        self._kind, self._case = kind, case
        points = ROWS.stop - ROWS.start
        self._count = np.zeros(points)
        # Real and generated, points, x and y.
        self._mean = np.zeros((2, points, 2))
        self._squares = np.zeros((2, points, 2))
        self._shown = self._judged = 0
        self._shoulders = array("d")

    def update(self, window: FrameWindow) -> float | None:
        """Add the newest pair; a frame has no score."""
        pose = window.feature("pose", "real")
        width = shoulder_width(pose, self._case)
        if width is not None:
            self._shoulders.append(width)
        hands = (pose[ROWS], window.feature("pose", "generated")[ROWS])
        there = present(hands[0])
        both = there & present(hands[1])
        self._shown += bool(there.any())
        self._judged += bool(both.any())
        self._count[both] += 1
        places = np.stack([pixels(side[both], self._case) for side in hands])
        before = places - self._mean[:, both]
        self._mean[:, both] += before / self._count[both, None]
        self._squares[:, both] += before * (places - self._mean[:, both])
        return None

    def finish(self) -> CaseScore:
        """Return the variance or its ratio; `n_frames` counts the frames with a point in both videos."""
        score = part_score("hands", 0.0, judged=self._judged, shown=self._shown)
        if not self._judged:
            return score
        value, reason = self._value(self._variances())
        if value is None:
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        return score.model_copy(update={"value": value})

    def _variances(self) -> npt.NDArray[np.float64] | None:
        """Mean over points of the variance of x plus that of y: real, then generated."""
        counted = self._count >= 2
        if not counted.any():
            return None
        found = (self._squares[:, counted] / self._count[counted, None]).sum(axis=2).mean(axis=1)
        return np.asarray(found, np.float64)

    def _value(self, variances: npt.NDArray[np.float64] | None) -> tuple[float | None, str | None]:
        if variances is None:
            return None, "no point of the hands is there in two frames of both videos"
        real, generated = map(float, variances)
        if self._kind == "ratio":
            return (generated / real, None) if real > 0 else (None, "the hands of the real video stand still")
        if not self._shoulders:
            return None, NO_SHOULDERS
        return generated / float(np.median(self._shoulders)) ** 2, None


# Variance of the generated video, and its ratio to the real one.
VARIANCES = (Hkv("amount"), Hkv("ratio"))
