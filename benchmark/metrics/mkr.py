"""MKR: the share of the real frame's keypoints that the generated frame lacks."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.metrics.keypoint_parts import DETECTED, PARTS, present
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

VERSION = 1


@dataclass(frozen=True)
class Mkr:
    """Missing keypoint rate of one part: body, face or hands."""

    part: str

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"mkr.{self.part}",
            version=VERSION,
            unit="1",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"{DETECTED}Of the points of the {self.part} that are there in the real frame, the share "
                "that is not there in the generated one, over all frames of the clip together; the score "
                "of a frame is the share of its points. Coverage: frames whose real frame has such a point."
            ),
            source="Siarohin et al. 2019 (MKR); detector own",
            blind_spots=(
                "where the points lie; mediapipe finds a face or a hand as a whole, so those are missing "
                "as a whole; a part that the detector loses in the real frame is not asked for"
            ),
            features=("pose",),
        )

    def start(self, case: CaseShape) -> MkrState:
        """A fresh state for one clip."""
        return MkrState(self.part)


class MkrState:
    """Exact counts of points."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._expected = self._missing = self._shown = self._frames = 0

    def update(self, window: PairWindow) -> float | None:
        """Share of the points of the newest pair, None where the real frame has none."""
        rows = PARTS[self._part]
        there = present(window.feature("pose", "real")[rows])
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
        """Share over the clip; `n_frames` counts the frames whose real frame has a point."""
        if not self._expected:
            reason = f"the detector finds no {self._part} in the real video"
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        value, coverage = self._missing / self._expected, self._shown / self._frames
        return CaseScore(value=value, n_frames=self._shown, coverage=coverage, state="ok")
