"""Leak: resemblance to the driver instead of the portrait, across identities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.results import CaseScore

Distance = Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64]], float]

_SCALE = (
    "Mean over frames of (D(g, p) - D(g, d)) / D(p, d), where d is the frame of the driving clip of the same "
    "time, at the size of the case. This is the similarity to the driver minus the similarity to the "
    "portrait, with 1 - D / D(p, d) as similarity. D obeys the triangle inequality, so the value lies in "
    "[-1, 1]: -1 for the portrait itself, 1 for the driving frame itself. "
)
# Below these distances portrait and driver look alike, and the quotient is noise.
_MIN_LEVELS, _MIN_ANGLE = 10.0, 0.1


class Leak:
    """Leak of the driver's colours: clothes, skin and background."""

    spec = MetricSpec(
        id="leak",
        title="Leak of the driver's appearance",
        version=1,
        unit="1",
        direction="lower",
        scope="frame",
        lookback=0,
        definition=(
            f"{_SCALE}D is the sum of the Wasserstein-1 distances between the distributions of R, G, B, "
            f"R - G and R + G - 2 B of two frames, in levels. A frame counts where D(p, d) is at least "
            f"{_MIN_LEVELS:g} levels. Coverage: such frames, of all; below 1 the state is partial."
        ),
        source="own; the control paste-driver has the value 1 and the control frozen -1",
        blind_spots=(
            "shapes and places: the features of the driver's face in the portrait's colours (see "
            "leak_identity); a video that resembles neither lies near 0; a frozen video is perfect: read "
            "pose_motion too"
        ),
        features=("colour-distribution",),
        needs_real=False,
        needs_driver=True,
    )

    def start(self, case: CaseShape) -> LeakState:
        """Begin a clip."""
        return LeakState("colour-distribution", _levels, _MIN_LEVELS)


class LeakOfIdentity:
    """Leak of the driver's face, by SFace."""

    spec = MetricSpec(
        id="leak_identity",
        title="Leak of the driver's identity (SFace)",
        version=1,
        unit="1",
        direction="lower",
        scope="frame",
        lookback=0,
        definition=(
            f"{_SCALE}D is the angle between the SFace features of the main faces of two frames, as in csim. "
            f"A frame counts where both clips and the generated frame show a face and D(p, d) is at least "
            f"{_MIN_ANGLE:g}. Coverage: such frames, of all; below 1 the state is partial."
        ),
        source="own, on the features of csim",
        blind_spots="frames without a face; the bias of the network; clothes and background (see leak)",
        features=("identity-sface",),
        needs_real=False,
        needs_driver=True,
    )

    def start(self, case: CaseShape) -> LeakState:
        """Begin a clip."""
        return LeakState("identity-sface", _angle, _MIN_ANGLE)


class LeakState:
    """Mean over frames of the leak, by a distance of two features that obeys the triangle inequality.

    Args:
        feature: id of the feature; None stands for a frame without one.
        distance: of two values of the feature.
        least: least distance of portrait and driver that is judged.
    """

    def __init__(self, feature: str, distance: Distance, least: float) -> None:
        self._feature, self._distance, self._least = feature, distance, least
        self._sum = 0.0
        self._judged = self._frames = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return the leak of the newest frame, None where it cannot be judged."""
        self._frames += 1
        portrait: Any = window.feature(self._feature, "reference")
        driver: Any = window.feature(self._feature, "driver")
        if portrait is None or driver is None:
            return None
        apart = self._distance(portrait, driver)
        generated: Any = window.feature(self._feature, "generated") if apart >= self._least else None
        if generated is None:
            return None
        score = (self._distance(generated, portrait) - self._distance(generated, driver)) / apart
        self._sum += score
        self._judged += 1
        return score

    def finish(self) -> CaseScore:
        """Return the mean over the judged frames; their number is `n_frames`."""
        missed = self._frames - self._judged
        if not self._judged:
            reason = "portrait and driver look alike in every frame, or a face is missing"
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        return CaseScore(
            value=self._sum / self._judged,
            n_frames=self._judged,
            coverage=self._judged / self._frames,
            state="partial" if missed else "ok",
            reason=f"{missed} of {self._frames} frames cannot be judged" if missed else None,
        )


def _levels(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(np.abs(one - other).sum())


def _angle(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(np.arccos(np.clip(one @ other, -1.0, 1.0)))
