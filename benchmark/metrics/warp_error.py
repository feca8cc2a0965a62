"""Warping error: how far a generated frame is from its predecessor carried along the real motion."""

from __future__ import annotations

import numpy as np

from benchmark.features.flow import BackwardFlow
from benchmark.metrics.frame_mean import FrameMean
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow


class WarpError:
    """Mean squared error after warping by the flow of the real video."""

    spec = MetricSpec(
        id="warp_error",
        version=1,
        unit="1e-3",
        direction="lower",
        scope="pair",
        lookback=1,
        definition=(
            "Mean over t of the mean over valid pixels and RGB channels of (g[t] - warp(g[t-1]))^2 / 255^2, "
            "times 1000. warp moves g[t-1] by the optical flow of the real video from t to t-1, bilinear; "
            "valid are the pixels that the forward-backward check passes (feature flow). The flow is that of "
            "OpenCV's DIS, which needs no weights."
        ),
        source="Lai et al., ECCV 2018, section 5.1; flow from the real video instead of the generated one",
        blind_spots=(
            "a frozen video scores the flow's length times its own gradients, often less than a lively one; "
            "blur lowers it; motion that the real video does not have is an error only where it is textured; "
            "slow drift; it compares with the codec control, not with 0, which the real video misses too"
        ),
        features=("flow",),
    )

    def start(self, case: CaseShape) -> FrameMean:
        """A fresh state for one clip."""
        return FrameMean(self.spec, _score, without="the clip is too short or too small for optical flow")


def _score(window: PairWindow) -> float | None:
    import cv2

    flow: BackwardFlow | None = window.feature("flow", "real")
    if flow is None or not (pixels := cv2.countNonZero(flow.valid)):
        return None
    warped = cv2.remap(
        window.generated(1), flow.at, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    squares = cv2.norm(window.generated(), warped, cv2.NORM_L2SQR, flow.valid)
    return 1000 * float(squares) / (3 * pixels * 255**2)
