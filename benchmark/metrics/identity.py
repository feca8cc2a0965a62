"""Identity: CSIM and AED, from features of a face recognition network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.results import CaseScore

Target = Literal["reference", "frame"]
TARGETS: tuple[Target, ...] = ("reference", "frame")
Variant = Literal["csim", "csim-arcface", "aed"]

_FEATURES: dict[Variant, str] = {
    "csim": "identity-sface",
    "csim-arcface": "identity-arcface",
    "aed": "identity-sface",
}
_NETWORKS = {
    "csim": "SFace, the freely licensed default",
    "csim-arcface": "ArcFace (buffalo_l w600k_r50), for non-commercial research only",
}
_TITLES = {
    "csim": "Similarity of identity (SFace)",
    "csim-arcface": "Similarity of identity (ArcFace)",
    "aed": "Distance of identity features (SFace)",
}
TARGET_WORDS = {"reference": "the portrait", "frame": "the real frame of the same time"}
_COVERAGE = {
    "reference": "Coverage: frames with a face in the generated frame, of all; below 1 the state is partial.",
    "frame": (
        "Coverage: frames with a face in both, of those with a face in the real frame; below 1 the state is "
        "partial."
    ),
}
_BLIND_SPOTS = (
    "generated frames without a face, which are left out: read the coverage too; the bias of the network; a "
    "face that keeps the pose of the portrait scores well against the portrait"
)


@dataclass(frozen=True)
class IdentityMetric:
    """Similarity (CSIM) or distance (AED) of identity features, to the portrait or to the frame.

    Args:
        variant: `csim` and `aed` use SFace, `csim-arcface` uses ArcFace.
        target: `reference`, the portrait, or `frame`, the real frame of the same time.
    """

    variant: Variant
    target: Target

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        aed = self.variant == "aed"
        return MetricSpec(
            id=f"{self.variant}.{self.target}",
            title=_TITLES[self.variant],
            version=1,
            unit="1",
            direction="lower" if aed else "higher",
            scope="frame",
            lookback=0,
            definition=self._aed_definition() if aed else self._csim_definition(),
            source=(
                "Siarohin et al. 2019, with SFace instead of OpenFace; not the expression distance that "
                "others call AED; not comparable with values of another network"
                if aed
                else "common practice with ArcFace (Deng et al. 2019); SFace: Zhong et al. 2021, OpenCV Zoo; "
                "values of different networks are not comparable"
            ),
            blind_spots=f"the same as csim.{self.target}: {_BLIND_SPOTS}" if aed else _BLIND_SPOTS,
            features=(_FEATURES[self.variant],),
            needs_real=self.target != "reference",
        )

    def start(self, case: CaseShape) -> IdentityState:
        """Begin a clip."""
        return IdentityState(
            _FEATURES[self.variant],
            self.target,
            score="squared distance" if self.variant == "aed" else "cosine",
        )

    def _csim_definition(self) -> str:
        return (
            "Mean over frames of the cosine between the identity features of the main face of the generated "
            f"frame and of {TARGET_WORDS[self.target]}. The face is found and aligned by YuNet's landmarks; "
            f"the network is {_NETWORKS[self.variant]}. {_COVERAGE[self.target]}"
        )

    def _aed_definition(self) -> str:
        return (
            "Mean over frames of the squared Euclidean distance between the SFace features, of unit length, "
            f"of the main face of the generated frame and of {TARGET_WORDS[self.target]}. It equals 2 - 2 "
            f"csim.{self.target} frame by frame. {_COVERAGE[self.target]}"
        )


class IdentityState:
    """Mean over frames of cosine, distance or squared distance of two feature vectors."""

    def __init__(
        self, feature: str, target: Target, *, score: Literal["cosine", "distance", "squared distance"]
    ) -> None:
        self._feature, self._score = feature, score
        self._target: Target = target
        self._sum = 0.0
        self._judged = self._expected = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return the score of the newest pair, None where one of the two has no face."""
        wanted: npt.NDArray[np.float64] | None = window.feature(
            self._feature, "real" if self._target == "frame" else "reference"
        )
        if wanted is None:
            return None
        self._expected += 1
        found: npt.NDArray[np.float64] | None = window.feature(self._feature, "generated")
        if found is None:
            return None
        if self._score == "cosine":
            score = float(wanted @ found)
        else:
            squared = float(np.square(wanted - found).sum())
            score = squared if self._score == "squared distance" else squared**0.5
        self._sum += score
        self._judged += 1
        return score

    def finish(self) -> CaseScore:
        """Return the mean over the frames with both faces; their number is `n_frames`."""
        if not self._expected:
            reason = f"no face found in {'the portrait' if self._target == 'reference' else 'the real video'}"
            return CaseScore(value=None, n_frames=0, state="unavailable", reason=reason)
        if not self._judged:
            reason = "no face found in any generated frame that is compared"
            return CaseScore(value=None, n_frames=0, coverage=0.0, state="unavailable", reason=reason)
        missed = self._expected - self._judged
        return CaseScore(
            value=self._sum / self._judged,
            n_frames=self._judged,
            coverage=self._judged / self._expected,
            state="partial" if missed else "ok",
            reason=f"no face found in {missed} of {self._expected} generated frames" if missed else None,
        )


# Similarity by SFace, to the portrait and to the frame.
CSIM = tuple(IdentityMetric("csim", target) for target in TARGETS)


# Similarity by ArcFace, to the portrait and to the frame.
CSIM_ARCFACE = tuple(IdentityMetric("csim-arcface", target) for target in TARGETS)


# Distance by SFace, to the portrait and to the frame.
AED = tuple(IdentityMetric("aed", target) for target in TARGETS)
