"""LPIPS: distance of two frames in the activations of AlexNet."""

from __future__ import annotations

import numpy as np

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.frame_mean import FrameMean


class Lpips:
    """Learned perceptual image patch similarity of each frame."""

    spec = MetricSpec(
        id="lpips",
        title="Learned perceptual image patch similarity",
        version=1,
        unit="1",
        direction="lower",
        scope="frame",
        lookback=0,
        definition=(
            "Mean over frames of LPIPS v0.1 with AlexNet at full size: the squared distance of the two "
            "frames' vectors (feature lpips-alex)."
        ),
        source="Zhang et al., CVPR 2018; the value of lpips.LPIPS(net='alex') within float32",
        blind_spots="motion and order of frames; faces and hands weigh by their area only",
        features=("lpips-alex",),
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, _score, without="frames below 32 pixels per side")


def _score(window: FrameWindow) -> float | None:
    real, generated = window.feature("lpips-alex", "real"), window.feature("lpips-alex", "generated")
    if real is None or generated is None:
        return None
    difference = generated - real
    return float(np.dot(difference, difference))
