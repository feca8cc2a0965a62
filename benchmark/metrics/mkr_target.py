"""MKR to the given pose: the share of the driving keypoints that the generated frame lacks."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.metrics.keypoint_parts import PARTS, TARGETED, present
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

VERSION = 1


@dataclass(frozen=True)
class MkrTarget:
    """Missing keypoint rate of one part: body, face or hands."""

    part: str

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"mkr_target.{self.part}",
            version=VERSION,
            unit="1",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"{TARGETED}Of the points of the {self.part} that are there in the pose, the share that is "
                "not there in the generated frame, over all frames of the clip together; the score of a "
                "frame is the share of its points. Coverage: frames whose pose has such a point."
            ),
            source="own; MKR (Siarohin et al. 2019) with driving keypoints for those of the real frame",
            blind_spots=(
                "where the points lie; mediapipe finds a face or a hand as a whole, so those are missing "
                "as a whole; drawn or very small hands may not be found in perfect frames either"
            ),
            features=("pose",),
            needs_real=False,
            needs_keypoints=True,
        )

    def start(self, case: CaseShape) -> MkrTargetState:
        """A fresh state for one clip."""
        return MkrTargetState(self.part)


class MkrTargetState:
    """Exact counts of points."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._expected = self._missing = self._shown = self._frames = 0

    def update(self, window: PairWindow) -> float | None:
        """Share of the points of the newest frame, None where its pose has none."""
        rows = PARTS[self._part]
        there = present(window.keypoints()[rows])
        lost = there & ~present(window.feature("pose", "generated")[rows])
        expected, missing = int(there.sum()), int(lost.sum())
        self._frames += 1
        if not expected:
            return None
        self._expected += expected
        self._missing += missing
        self._shown += 1
        return missing / expected

    def finish(self) -> CaseScore:
        """Share over the clip; `n_frames` counts the frames whose pose has a point."""
        if not self._expected:
            reason = f"the driving poses show no {self._part}"
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        value, coverage = self._missing / self._expected, self._shown / self._frames
        return CaseScore(value=value, n_frames=self._shown, coverage=coverage, state="ok")
