"""AKD: how far the keypoints of the generated frame lie from those of the real one, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.metrics.keypoint_parts import DETECTED, PARTS, pixels, present
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

VERSION = 1
DETECTOR_BLIND_SPOTS = (
    "what the detector cannot see: it smooths over time, so jitter is understated; a model driven by the "
    "same detector's keypoints is favoured, wrong ones included"
)


@dataclass(frozen=True)
class Akd:
    """Average keypoint distance of one part: body, face or hands."""

    part: str

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"akd.{self.part}",
            version=VERSION,
            unit="px at 512",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"{DETECTED}Mean over all points of the {self.part} that are there in both frames, and over "
                "x and y, of the absolute difference, in pixels of a frame whose longer side is 512; the "
                "score of a frame is the mean over its points. Coverage: frames with such a point, of those "
                "where the real frame has any; below 1 the state is partial."
            ),
            source="Siarohin et al. 2019 (AKD, mean difference per coordinate); detector and unit own",
            blind_spots=f"points that are not found, which mkr.{self.part} counts; {DETECTOR_BLIND_SPOTS}",
            features=("pose",),
        )

    def start(self, case: CaseShape) -> AkdState:
        """A fresh state for one clip."""
        return AkdState(self.part, case)


class AkdState:
    """Running sum over points."""

    def __init__(self, part: str, case: CaseShape) -> None:
        self._part, self._case = part, case
        self._sum = 0.0
        self._points = self._judged = self._shown = 0

    def update(self, window: PairWindow) -> float | None:
        """Mean difference of the newest pair, None where no point is there in both."""
        rows = PARTS[self._part]
        real, generated = (window.feature("pose", side)[rows] for side in ("real", "generated"))
        there = present(real)
        self._shown += bool(there.any())
        both = there & present(generated)
        count = int(both.sum())
        if not count:
            return None
        moved = pixels(generated[both], self._case) - pixels(real[both], self._case)
        total = float(np.abs(moved).mean(axis=1).sum())
        self._sum += total
        self._points += count
        self._judged += 1
        return total / count

    def finish(self) -> CaseScore:
        """Mean over all points of the clip; `n_frames` counts the frames that have one."""
        value = self._sum / self._points if self._points else None
        return keypoint_score(self._part, value, judged=self._judged, shown=self._shown)


def keypoint_score(part: str, value: float | None, *, judged: int, shown: int) -> CaseScore:
    """The score of a clip of which `judged` frames count, of `shown` whose real frame shows the part."""
    if not shown:
        reason = f"the detector finds no {part} in the real video"
        return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
    if not judged:
        reason = f"the detector finds no {part} of the real video in the generated one"
        return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
    missed = shown - judged
    return CaseScore(
        value=value,
        n_frames=judged,
        coverage=judged / shown,
        state="partial" if missed else "ok",
        reason=f"no {part} found in {missed} of {shown} generated frames" if missed else None,
    )
