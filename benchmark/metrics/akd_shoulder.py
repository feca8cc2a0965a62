"""AKD as a share of the shoulder width, which does not depend on how large the person is in the frame."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from benchmark.metrics.akd import keypoint_score
from benchmark.metrics.keypoint_parts import DETECTED, PARTS, pixels, present, shoulder_width
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

VERSION = 1
NO_SHOULDERS = "the detector finds both shoulders in no frame of the real video"


@dataclass(frozen=True)
class AkdShoulder:
    """Average keypoint distance of one part in percent of the shoulder width."""

    part: str

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"akd_shoulder.{self.part}",
            version=VERSION,
            unit="% of shoulder width",
            direction="lower",
            scope="clip",
            lookback=0,
            definition=(
                f"{DETECTED}Mean over all points of the {self.part} that are there in both frames of their "
                "Euclidean distance, divided by the median over the clip of the distance of the shoulders in "
                f"the real frames. Coverage as for akd.{self.part}."
            ),
            source="own; the normalised companion of AKD",
            blind_spots=f"as akd.{self.part}; a person who stands sideways counts as small",
            features=("pose",),
        )

    def start(self, case: CaseShape) -> AkdShoulderState:
        """A fresh state for one clip."""
        return AkdShoulderState(self.part, case)


class AkdShoulderState:
    """Running sum over points, and a shoulder width for each frame."""

    def __init__(self, part: str, case: CaseShape) -> None:
        self._part, self._case = part, case
        self._sum = 0.0
        self._points = self._judged = self._shown = 0
        self._shoulders = array("d")

    def update(self, window: PairWindow) -> float | None:
        """Add the newest pair; there is no score of a frame."""
        rows = PARTS[self._part]
        pose = window.feature("pose", "real")
        width = shoulder_width(pose, self._case)
        if width is not None:
            self._shoulders.append(width)
        real, generated = pose[rows], window.feature("pose", "generated")[rows]
        there = present(real)
        both = there & present(generated)
        self._shown += bool(there.any())
        self._judged += bool(both.any())
        self._points += int(both.sum())
        moved = pixels(generated[both], self._case) - pixels(real[both], self._case)
        self._sum += float(np.linalg.norm(moved, axis=1).sum())
        return None

    def finish(self) -> CaseScore:
        """Mean over all points of the clip; `n_frames` counts the frames that have one."""
        if self._points and not self._shoulders:
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=NO_SHOULDERS)
        value = None
        if self._points:
            value = 100 * self._sum / self._points / float(np.median(self._shoulders))
        return keypoint_score(self._part, value, judged=self._judged, shown=self._shown)
