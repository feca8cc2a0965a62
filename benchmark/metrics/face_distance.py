"""Identity without fetched weights: distance of dlib's face descriptors."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.features.contract import CaseShape
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.identity import TARGET_WORDS, TARGETS, IdentityState, Target

FEATURE = "face-descriptor"


@dataclass(frozen=True)
class FaceDistance:
    """Euclidean distance of dlib's descriptors, to the portrait or to the real frame of the same time."""

    target: Target

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        return MetricSpec(
            id=f"face_distance.{self.target}",
            title="Distance of identity (dlib)",
            version=1,
            unit="1",
            direction="lower",
            scope="frame",
            lookback=0,
            definition=(
                "Mean over frames of the Euclidean distance between dlib's descriptors of the main face of "
                f"the generated frame and of {TARGET_WORDS[self.target]} (feature {FEATURE}). dlib takes two "
                "faces below 0.6 for one person. Coverage: frames with a face in the generated frame, of "
                "those with a face to compare with; below 1 the state is partial."
            ),
            source="King 2017, dlib-models; not comparable with csim, which is a cosine of another network",
            blind_spots=(
                "generated frames without a face, which are left out: read the coverage too; the bias of the "
                "network, which is trained on adults of few regions; blur, which moves all faces closer"
            ),
            features=(FEATURE,),
            needs_real=self.target != "reference",
        )

    def start(self, case: CaseShape) -> IdentityState:
        """Begin a clip."""
        return IdentityState(FEATURE, self.target, score="distance")


FACE_DISTANCE = tuple(FaceDistance(target) for target in TARGETS)
