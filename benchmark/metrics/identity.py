"""What CSIM and AED share: the identity features of a generated frame and of what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

Target = Literal["reference", "frame"]
TARGETS: tuple[Target, ...] = ("reference", "frame")
Features = npt.NDArray[np.float64]

WHOM = {
    "reference": "the portrait",
    "frame": "the real frame of the same time",
}
COVERAGE = {
    "reference": "Coverage: frames with a face in the generated frame, of all; below 1 the state is partial.",
    "frame": (
        "Coverage: frames with a face in both, of those with a face in the real frame; below 1 the state is "
        "partial."
    ),
}
BLIND_SPOTS = (
    "frames without a face in the generated frame, which do not count: read it with its coverage; the "
    "network's own bias; a face held still in the portrait's pose scores well against the portrait"
)


class IdentityState:
    """Mean over frames of a measure of two identity features of unit length.

    Args:
        feature: id of the feature.
        target: what generated frames are compared with.
        measure: of two feature vectors.
    """

    def __init__(self, feature: str, target: Target, measure: Callable[[Features, Features], float]) -> None:
        self._feature, self._target, self._measure = feature, target, measure
        self._sum = 0.0
        self._judged = self._expected = 0

    def update(self, window: PairWindow) -> float | None:
        """The measure of the newest pair, None where one of the two has no face."""
        side: Literal["real", "reference"] = "real" if self._target == "frame" else "reference"
        wanted: Features | None = window.feature(self._feature, side)
        if wanted is None:
            return None
        self._expected += 1
        found: Features | None = window.feature(self._feature, "generated")
        if found is None:
            return None
        score = self._measure(wanted, found)
        self._sum += score
        self._judged += 1
        return score

    def finish(self) -> CaseScore:
        """Mean over the frames that could be judged; their number is `n_frames`."""
        if not self._expected:
            reason = f"no face found in {'the portrait' if self._target == 'reference' else 'the real video'}"
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        if not self._judged:
            reason = "no face found in any generated frame that counts"
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        missed = self._expected - self._judged
        return CaseScore(
            value=self._sum / self._judged,
            n_frames=self._judged,
            coverage=self._judged / self._expected,
            state="partial" if missed else "ok",
            reason=f"no face found in {missed} of {self._expected} generated frames" if missed else None,
        )


def cosine(wanted: Features, found: Features) -> float:
    """Cosine of the angle between two vectors of unit length."""
    return float(wanted @ found)


def squared_distance(wanted: Features, found: Features) -> float:
    """Square of the Euclidean distance."""
    return float(np.square(wanted - found).sum())
