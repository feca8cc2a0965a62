"""Static flicker: change of the generated video where the real one is still."""

from __future__ import annotations

import numpy as np

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.frame_mean import FrameMean

# Noise and compression of a good recording stay below this change, in levels of 0 to 255; then pixels.
_STILL, _NEIGHBOURHOOD = 4, 5
_MIN_SHARE = 0.01


class FlickerDifference:
    """Change from frame to frame at still pixels."""

    spec = MetricSpec(
        id="flicker",
        title="Flicker of still pixels",
        version=1,
        unit="level",
        direction="lower",
        scope="pair",
        lookback=1,
        definition=(
            "Mean over t of the mean of |g[t] - g[t-1]| over RGB channels and still pixels. A pixel is still "
            "at t where |r[t] - r[t-1]| <= 4 in every channel of every pixel of its 5x5 neighbourhood within "
            "the frame. Frames with fewer than 1 % still pixels have no score; the share of the other frames "
            "is the coverage. Range 0 to 255."
        ),
        source=(
            "own; VBench's temporal flickering, 1 - mean|d|/255 on videos chosen to be static, rewards a "
            "frozen video wherever there is motion, so motion is masked here"
        ),
        blind_spots=(
            "everything that moves; a frozen video scores 0, the best value: read motion_ratio too; drift "
            "slower than a level per frame; noise of the recording, up to 4 levels, counts where it is copied"
        ),
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(
            self.spec, _score, without="the real video has no two frames with still pixels", covers=True
        )


def _score(window: FrameWindow) -> float | None:
    import cv2

    change = cv2.absdiff(window.real(), window.real(1))
    quiet = cv2.inRange(change, np.zeros(3), np.full(3, float(_STILL)))
    still = cv2.erode(quiet, cv2.getStructuringElement(cv2.MORPH_RECT, (_NEIGHBOURHOOD, _NEIGHBOURHOOD)))
    pixels = cv2.countNonZero(still)
    if pixels < _MIN_SHARE * still.size:
        return None
    return float(cv2.norm(window.generated(), window.generated(1), cv2.NORM_L1, still)) / (3 * pixels)
