"""AKD to the given pose: how far the generated person is from where the driving keypoints want them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from benchmark.metrics.keypoint_parts import PARTS, TARGETED, pixels, present, shoulder_width
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

VERSION = 1
BLIND_SPOTS = (
    "the difference between mediapipe and whatever made the driving keypoints, which no contestant can go "
    "below; that the pose itself, retargeted or not, may not suit the portrait; mediapipe smooths over time"
)


@dataclass(frozen=True)
class AkdTarget:
    """Distance of one part from the pose that was asked for, in percent of its shoulder width."""

    part: str

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"akd_target.{self.part}",
            version=VERSION,
            unit="% of shoulder width",
            direction="lower",
            scope="clip",
            lookback=0,
            definition=(
                f"{TARGETED}Mean over all points of the {self.part} that are there in both of their "
                "Euclidean distance, divided by the median over the clip of the distance of the shoulders "
                "in the pose. Coverage: frames with such a point, of those whose pose has any; below 1 the "
                "state is partial."
            ),
            source="own; AKD (Siarohin et al. 2019) with driving keypoints for those of the real frame",
            blind_spots=f"points that are not found, which mkr_target.{self.part} counts; {BLIND_SPOTS}",
            features=("pose",),
            needs_real=False,
            needs_keypoints=True,
        )

    def start(self, case: CaseShape) -> AkdTargetState:
        """A fresh state for one clip."""
        return AkdTargetState(self.part, case)


class AkdTargetState:
    """Running sum over points, and a shoulder width for each pose."""

    def __init__(self, part: str, case: CaseShape) -> None:
        self._part, self._case = part, case
        self._sum = 0.0
        self._points = self._judged = self._shown = 0
        self._shoulders = array("d")

    def update(self, window: PairWindow) -> float | None:
        """Add the newest frame; there is no score of a frame."""
        rows = PARTS[self._part]
        pose = window.keypoints()
        width = shoulder_width(pose, self._case)
        if width is not None:
            self._shoulders.append(width)
        wanted, found = pose[rows], window.feature("pose", "generated")[rows]
        there = present(wanted)
        both = there & present(found)
        self._shown += bool(there.any())
        self._judged += bool(both.any())
        self._points += int(both.sum())
        away = pixels(found[both], self._case) - pixels(wanted[both], self._case)
        self._sum += float(np.linalg.norm(away, axis=1).sum())
        return None

    def finish(self) -> CaseScore:
        """Mean over all points of the clip; `n_frames` counts the frames that have one."""
        reason = self._without()
        if reason is not None:
            coverage = 0.0 if self._shown and not self._judged else None
            return CaseScore(value=None, n_frames=0, coverage=coverage, state="unavailable", reason=reason)
        missed = self._shown - self._judged
        return CaseScore(
            value=100 * self._sum / self._points / float(np.median(self._shoulders)),
            n_frames=self._judged,
            coverage=self._judged / self._shown,
            state="partial" if missed else "ok",
            reason=f"no {self._part} found in {missed} of {self._shown} frames" if missed else None,
        )

    def _without(self) -> str | None:
        """Why there is no value, None where there is one."""
        if not self._shown:
            return f"the driving poses show no {self._part}"
        if not self._judged:
            return f"the detector finds no {self._part} that the driving poses show in the generated video"
        return None if self._shoulders else "no driving pose shows both shoulders"
