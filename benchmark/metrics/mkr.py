"""MKR: share of the expected keypoints that the generated frame lacks."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.keypoint_parts import (
    DETECTED,
    PARTS,
    TARGETED,
    Expected,
    expected_pose,
    missing_part,
    present,
)
from benchmark.results import CaseScore

_WHOLE_PART = "the positions of the points; mediapipe detects a face or a hand as a whole"


@dataclass(frozen=True)
class Mkr:
    """Missing keypoint rate of one part.

    Args:
        part: body, face or hands.
        expected: `real`, the points detected in the real frame, or `pose`, those of the driving pose.
    """

    part: str
    expected: Expected = "real"

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        if self.expected == "real":
            return MetricSpec(
                id=f"mkr.{self.part}",
                title="Missing keypoints of the real frame",
                version=1,
                unit="1",
                direction="lower",
                scope="frame",
                lookback=0,
                definition=(
                    f"{DETECTED}Share of the points of the {self.part} that are present in the real frame "
                    "and absent in the generated frame, over all frames of the clip together. The score of a "
                    "frame is the share of its points. Coverage: frames whose real frame has such a point."
                ),
                source="Siarohin et al. 2019 (MKR); the detector is own",
                blind_spots=(
                    f"{_WHOLE_PART}; a part that the detector misses in the real frame is not expected"
                ),
                features=("pose",),
            )
        return MetricSpec(
            id=f"mkr_target.{self.part}",
            title="Missing keypoints of the driving pose",
            version=1,
            unit="1",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"{TARGETED}Share of the points of the {self.part} that are present in the pose and absent "
                "in the generated frame, over all frames of the clip together. The score of a frame is the "
                "share of its points. Coverage: frames whose pose has such a point."
            ),
            source=(
                "own; MKR (Siarohin et al. 2019) with driving keypoints instead of those of the real frame"
            ),
            blind_spots=f"{_WHOLE_PART}; drawn or very small hands may be missed in perfect frames too",
            features=("pose",),
            needs_real=False,
            needs_keypoints=True,
        )

    def start(self, case: CaseShape) -> MkrState:
        """Begin a clip."""
        return MkrState(self.part, self.expected)


class MkrState:
    """Exact counts of points."""

    def __init__(self, part: str, expected: Expected) -> None:
        self._part: str = part
        self._source: Expected = expected
        self._expected = self._missing = self._shown = self._frames = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return the share of missing points of the newest frame, None where none is expected."""
        rows = PARTS[self._part]
        there = present(expected_pose(window, self._source)[rows])
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
        """Return the share over the clip; `n_frames` counts the frames with an expected point."""
        if not self._expected:
            reason = missing_part(self._part, self._source)
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        value, coverage = self._missing / self._expected, self._shown / self._frames
        return CaseScore(value=value, n_frames=self._shown, coverage=coverage, state="ok")


# Rates of body, face and hands of the real frame.
TO_REAL = tuple(Mkr(part) for part in PARTS)


# Rates of body, face and hands of the driving pose.
TO_POSE = tuple(Mkr(part, "pose") for part in PARTS)
