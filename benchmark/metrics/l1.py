"""L1: the mean absolute difference of the pixels."""

from __future__ import annotations

from benchmark.metrics.frame_mean import FrameMean
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow


class L1:
    """Mean absolute difference of each frame."""

    spec = MetricSpec(
        id="l1",
        version=1,
        unit="level",
        direction="lower",
        scope="frame",
        lookback=0,
        definition="Mean over frames, pixels and RGB channels of |g - r|, uint8 values. Range 0 to 255.",
        source="own; papers that divide by 255 or sum over channels report another scale",
        blind_spots="as psnr, and less of large errors in few pixels",
    )

    def start(self, case: CaseShape) -> FrameMean:
        """A fresh state for one clip."""
        return FrameMean(self.spec, _score, without="the clip has no frame")


def _score(window: PairWindow) -> float:
    import cv2

    real = window.real()
    return float(cv2.norm(real, window.generated(), cv2.NORM_L1)) / real.size
