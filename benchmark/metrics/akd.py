"""AKD: distance of the generated person's keypoints from the expected ones, in pixels or shoulder widths."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.keypoint_parts import (
    DETECTED,
    PARTS,
    TARGETED,
    expected_pose,
    part_score,
    pixels,
    present,
    shoulder_width,
)
from benchmark.results import CaseScore

Variant = Literal["akd", "akd_shoulder", "akd_target"]

NO_SHOULDERS = "the detector finds both shoulders in no frame of the real video"
_DETECTOR = (
    "errors of the detector: it smooths over time and so understates jitter; a model driven by keypoints of "
    "the same detector is favoured, wrong ones included"
)


@dataclass(frozen=True)
class Akd:
    """Average keypoint distance of one part.

    Args:
        part: body, face or hands.
        variant: `akd`, in pixels, and `akd_shoulder`, in percent of the shoulder width, compare with the real
            frame; `akd_target`, in percent of the shoulder width, compares with the driving pose.
    """

    part: str
    variant: Variant = "akd"

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        return {"akd": self._akd, "akd_shoulder": self._akd_shoulder, "akd_target": self._akd_target}[
            self.variant
        ]()

    def start(self, case: CaseShape) -> AkdState:
        """Begin a clip."""
        return AkdState(self.part, self.variant, case)

    def _akd(self) -> MetricSpec:
        return MetricSpec(
            id=f"akd.{self.part}",
            title="Distance of keypoints from the real frame",
            version=1,
            unit="px at 512",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                f"{DETECTED}Mean absolute difference of x and y over all points of the {self.part} that are "
                "present in both frames, in pixels of a frame whose longer side is 512. The score of a frame "
                "is the mean over its points. Coverage: frames with such a point, of those whose real frame "
                "has any; below 1 the state is partial."
            ),
            source="Siarohin et al. 2019 (AKD, mean difference per coordinate); detector and unit are own",
            blind_spots=f"points that are not found, which mkr.{self.part} counts; {_DETECTOR}",
            features=("pose",),
        )

    def _akd_shoulder(self) -> MetricSpec:
        return MetricSpec(
            id=f"akd_shoulder.{self.part}",
            title="Distance of keypoints from the real frame, by person size",
            version=1,
            unit="% of shoulder width",
            direction="lower",
            scope="clip",
            lookback=0,
            definition=(
                f"{DETECTED}Mean Euclidean distance over all points of the {self.part} that are present in "
                "both frames, divided by the median over the clip of the shoulder distance in the real "
                f"frames. Coverage as for akd.{self.part}."
            ),
            source="own; AKD, normalised by the size of the person",
            blind_spots=f"as akd.{self.part}; a person who stands sideways counts as small",
            features=("pose",),
        )

    def _akd_target(self) -> MetricSpec:
        return MetricSpec(
            id=f"akd_target.{self.part}",
            title="Distance of keypoints from the driving pose",
            version=1,
            unit="% of shoulder width",
            direction="lower",
            scope="clip",
            lookback=0,
            definition=(
                f"{TARGETED}Mean Euclidean distance over all points of the {self.part} that are present in "
                "both, divided by the median over the clip of the shoulder distance in the pose. Coverage: "
                "frames with such a point, of those whose pose has any; below 1 the state is partial."
            ),
            source=(
                "own; AKD (Siarohin et al. 2019) with driving keypoints instead of those of the real frame"
            ),
            blind_spots=(
                f"points that are not found, which mkr_target.{self.part} counts; the difference between "
                "mediapipe and the estimator of the driving keypoints, which no contestant can undercut; a "
                "pose, retargeted or not, that does not suit the portrait; mediapipe smooths over time"
            ),
            features=("pose",),
            needs_real=False,
            needs_keypoints=True,
        )


class AkdState:
    """Running sum over points, and the shoulder width of each expected pose."""

    def __init__(self, part: str, variant: Variant, case: CaseShape) -> None:
        self._part, self._case = part, case
        self._expected: Literal["real", "pose"] = "pose" if variant == "akd_target" else "real"
        self._normalised = variant != "akd"
        self._sum = 0.0
        self._points = self._judged = self._shown = 0
        self._shoulders = array("d")

    def update(self, window: FrameWindow) -> float | None:
        """Return the mean distance of the newest frame in pixels, None without a common point."""
        rows = PARTS[self._part]
        pose = expected_pose(window, self._expected)
        width = shoulder_width(pose, self._case)
        if width is not None:
            self._shoulders.append(width)
        wanted, found = pose[rows], window.feature("pose", "generated")[rows]
        there = present(wanted)
        both = there & present(found)
        self._shown += bool(there.any())
        count = int(both.sum())
        if not count:
            return None
        moved = pixels(found[both], self._case) - pixels(wanted[both], self._case)
        each = np.linalg.norm(moved, axis=1) if self._normalised else np.abs(moved).mean(axis=1)
        total = float(each.sum())
        self._sum += total
        self._points += count
        self._judged += 1
        return None if self._normalised else total / count

    def finish(self) -> CaseScore:
        """Return the mean over all points of the clip; `n_frames` counts the frames that have one."""
        value = self._sum / self._points if self._points else None
        if value is not None and self._normalised:
            if not self._shoulders:
                pose = self._expected == "pose"
                reason = "no driving pose shows both shoulders" if pose else NO_SHOULDERS
                return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
            value = 100 * self._sum / self._points / float(np.median(self._shoulders))
        return part_score(self._part, value, judged=self._judged, shown=self._shown, expected=self._expected)


# Distances of body, face and hands from the real frame, in pixels.
IN_PIXELS = tuple(Akd(part) for part in PARTS)


# Distances of body, face and hands from the real frame, in shoulder widths.
IN_SHOULDER_WIDTHS = tuple(Akd(part, "akd_shoulder") for part in PARTS)


# Distances of body, face and hands from the driving pose, in shoulder widths.
TO_POSE = tuple(Akd(part, "akd_target") for part in PARTS)
