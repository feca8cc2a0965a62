"""FID: distance of generated from real single frames, over all clips."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.metrics.contract import ClipArrays, MetricSpec, SetScore
from benchmark.metrics.frechet import INTERVAL, frechet_score
from benchmark.rules import Aggregation

COLLECTION = "inception"


class Fid:
    """Frechet Inception distance between generated and real frames."""

    spec = MetricSpec(
        id="fid",
        title="Frechet distance of frames",
        version=1,
        unit="1",
        direction="lower",
        scope="set",
        lookback=0,
        definition=(
            "Frechet distance of two Gaussians, with mean and unbiased covariance of the 2048 Inception "
            "features of real and of generated frames at the same times, 5 a second, of all clips together, "
            f"in float64. {INTERVAL}."
        ),
        source=(
            "Heusel et al. 2017, with the network, resize and features of torch-fidelity; the distance is "
            "own (Dowson and Landau 1982)"
        ),
        blind_spots=(
            "motion and order of frames; frames of one video are not independent, so their number overstates "
            "the precision; biased upwards for few frames"
        ),
        collections=(COLLECTION,),
    )

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """Return the distance over these clips."""
        return frechet_score(clips, COLLECTION, rule, "frames")
