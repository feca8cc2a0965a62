"""AED: the distance of identity features."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.metrics.identity import BLIND_SPOTS, COVERAGE, WHOM, IdentityState, Target, squared_distance
from benchmark.metrics.metric import CaseShape, MetricSpec

VERSION = 1


@dataclass(frozen=True)
class Aed:
    """Average identity distance, to the portrait or to the frame."""

    target: Target

    @property
    def spec(self) -> MetricSpec:
        """What a reader must know of it."""
        return MetricSpec(
            id=f"aed.{self.target}",
            version=VERSION,
            unit="1",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                "Mean over frames of the squared Euclidean distance of SFace's features, of unit length, of "
                f"the main face of the generated frame and of {WHOM[self.target]}: 2 - 2 csim.{self.target} "
                f"frame by frame. {COVERAGE[self.target]}"
            ),
            source=(
                "Siarohin et al. 2019, with SFace for OpenFace; not the expression distance that others call "
                "AED, and not comparable with values of another network"
            ),
            blind_spots=f"nothing that csim.{self.target} does not show as well: {BLIND_SPOTS}",
            features=("identity-sface",),
            needs_real=self.target != "reference",
        )

    def start(self, case: CaseShape) -> IdentityState:
        """A fresh state for one clip."""
        return IdentityState("identity-sface", self.target, squared_distance)
