"""FID: whether single frames look like real ones, over all clips."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.metrics.frechet import INTERVAL, frechet_score
from benchmark.metrics.metric import ClipArrays, MetricSpec, SetScore
from benchmark.rules import Aggregation

COLLECTION = "inception"


class Fid:
    """Frechet Inception distance between generated and real frames."""

    spec = MetricSpec(
        id="fid",
        version=1,
        unit="1",
        direction="lower",
        scope="set",
        lookback=0,
        definition=(
            "Frechet distance of Gaussians with mean and unbiased covariance of the 2048 Inception features "
            "of real and generated frames at the same times, 5 a second, of all clips together, in float64. "
            f"{INTERVAL}."
        ),
        source=(
            "Heusel et al. 2017, with the network, resize and features of torch-fidelity; the distance is "
            "own (Dowson and Landau 1982)"
        ),
        blind_spots=(
            "motion and order of frames; frames of one video are no independent draws, so their number says "
            "little; biased upwards where there are few"
        ),
        collections=(COLLECTION,),
    )

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """The distance over these clips."""
        return frechet_score(clips, COLLECTION, rule, "frames")
