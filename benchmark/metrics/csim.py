"""CSIM: whether it is still the same person, as a face recogniser sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmark.metrics.identity import BLIND_SPOTS, COVERAGE, WHOM, IdentityState, Target, cosine
from benchmark.metrics.metric import CaseShape, MetricSpec

VERSION = 1
NETWORKS = {
    "sface": ("csim", "SFace, the freely licensed default"),
    "arcface": ("csim-arcface", "ArcFace (buffalo_l w600k_r50), for non-commercial research only"),
}


@dataclass(frozen=True)
class Csim:
    """Cosine similarity of identity features, to the portrait or to the frame."""

    network: Literal["sface", "arcface"]
    target: Target

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        name, words = NETWORKS[self.network]
        return MetricSpec(
            id=f"{name}.{self.target}",
            version=VERSION,
            unit="1",
            direction="higher",
            scope="frame",
            lookback=0,
            definition=(
                "Mean over frames of the cosine between the identity features of the main face (found and "
                f"aligned by YuNet's landmarks; {words}) of the generated frame and of {WHOM[self.target]}. "
                f"{COVERAGE[self.target]}"
            ),
            source=(
                "common practice with ArcFace (Deng et al. 2019); SFace: Zhong et al. 2021, OpenCV Zoo; "
                "values of different networks are not comparable"
            ),
            blind_spots=BLIND_SPOTS,
            features=(f"identity-{self.network}",),
            needs_real=self.target != "reference",
        )

    def start(self, case: CaseShape) -> IdentityState:
        """A fresh state for one clip."""
        return IdentityState(f"identity-{self.network}", self.target, cosine)
