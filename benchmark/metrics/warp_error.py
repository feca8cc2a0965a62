"""Warping error: difference of a generated frame from its predecessor, warped by the real motion."""

from __future__ import annotations

import numpy as np

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.features.flow import BackwardFlow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.frame_mean import FrameMean


class WarpError:
    """Mean squared error after warping by the optical flow of the real video."""

    spec = MetricSpec(
        id="warp_error",
        title="Warping error along the real motion",
        version=1,
        unit="1e-3",
        direction="lower",
        scope="pair",
        lookback=1,
        definition=(
            "Mean over t of the mean over valid pixels and RGB channels of (g[t] - warp(g[t-1]))^2 / 255^2, "
            "times 1000. warp moves g[t-1] by the optical flow of the real video from t to t-1, bilinear. A "
            "pixel is valid where the forward-backward check passes (feature flow). The flow is OpenCV's "
            "DIS, which needs no weights."
        ),
        source="Lai et al., ECCV 2018, section 5.1; flow of the real video instead of the generated one",
        blind_spots=(
            "a frozen video scores the length of the flow times its gradients, often less than a video that "
            "moves; blur lowers it; motion that the real video lacks counts only where it is textured; slow "
            "drift; the real video does not reach 0: compare with the codec control"
        ),
        features=("flow",),
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, _score, without="the clip is too short or too small for optical flow")


def _score(window: FrameWindow) -> float | None:
    import cv2

    flow: BackwardFlow | None = window.feature("flow", "real")
    if flow is None or not (pixels := cv2.countNonZero(flow.valid)):
        return None
    warped = cv2.remap(
        window.generated(1), flow.at, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    squares = cv2.norm(window.generated(), warped, cv2.NORM_L2SQR, flow.valid)
    return 1000 * float(squares) / (3 * pixels * 255**2)
