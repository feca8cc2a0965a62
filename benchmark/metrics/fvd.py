"""FVD: whether short stretches of video look like real ones, over all clips."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.metrics.frechet import INTERVAL, frechet_score
from benchmark.metrics.metric import ClipArrays, MetricSpec, SetScore
from benchmark.rules import Aggregation

COLLECTION = "i3d"


class Fvd:
    """Frechet video distance between generated and real windows of 16 frames."""

    spec = MetricSpec(
        id="fvd",
        version=1,
        unit="1",
        direction="lower",
        scope="set",
        lookback=0,
        definition=(
            "Recipe i3d-400-224-16x16: Frechet distance of Gaussians with mean and unbiased covariance of "
            "the 400 I3D logits of real and generated windows of 16 frames, stride 16, shorter side to 224, "
            f"centre crop, of all clips together, in float64. {INTERVAL}."
        ),
        source=(
            "Unterthiner et al. 2018, with the TorchScript I3D of StyleGAN-V; the distance is own (Dowson "
            "and Landau 1982)"
        ),
        blind_spots=(
            "what happens over more than 16 frames, and the sides that the crop takes; prefers good frames "
            "over good motion (Ge et al. 2024); windows of one video are no independent draws; biased "
            "upwards where there are few; clips of other rates show other lengths of time"
        ),
        collections=(COLLECTION,),
    )

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """The distance over these clips."""
        return frechet_score(clips, COLLECTION, rule, "windows of 16 frames")
