"""Static flicker: how much the generated video changes where the real one stands still."""

from __future__ import annotations

import numpy as np

from benchmark.metrics.frame_mean import FrameMean
from benchmark.metrics.metric import CaseShape, MetricSpec
from benchmark.metrics.window import PairWindow

# Levels of 0 to 255 that noise and compression of a good recording stay below, and pixels around.
_STILL, _NEIGHBOURHOOD = 4, 5
_MIN_SHARE = 0.01


class FlickerDifference:
    """Change from frame to frame in still places."""

    spec = MetricSpec(
        id="flicker",
        version=1,
        unit="level",
        direction="lower",
        scope="pair",
        lookback=1,
        definition=(
            "Mean over t of the mean of |g[t] - g[t-1]| over RGB channels and still pixels. A pixel is still "
            "at t where |r[t] - r[t-1]| <= 4 in every channel of every pixel of the 5x5 neighbourhood within "
            "the frame. Frames with fewer than 1 % still pixels have no score; the share of the others is "
            "the coverage. Range 0 to 255."
        ),
        source=(
            "own; VBench's temporal flickering, 1 - mean|d|/255 on videos chosen to be static, rewards a "
            "frozen video wherever there is motion, so motion is masked here"
        ),
        blind_spots=(
            "everything that moves; a frozen video scores 0, the best: read it beside motion_ratio; drift "
            "slower than a level a frame; noise of the recording itself, up to 4 levels, is no fault but "
            "counts where it is copied"
        ),
    )

    def start(self, case: CaseShape) -> FrameMean:
        """A fresh state for one clip."""
        return FrameMean(
            self.spec, _score, without="the real video has no two frames with a still place", covers=True
        )


def _score(window: PairWindow) -> float | None:
    import cv2

    change = cv2.absdiff(window.real(), window.real(1))
    quiet = cv2.inRange(change, np.zeros(3), np.full(3, float(_STILL)))
    still = cv2.erode(quiet, cv2.getStructuringElement(cv2.MORPH_RECT, (_NEIGHBOURHOOD, _NEIGHBOURHOOD)))
    pixels = cv2.countNonZero(still)
    if pixels < _MIN_SHARE * still.size:
        return None
    return float(cv2.norm(window.generated(), window.generated(1), cv2.NORM_L1, still)) / (3 * pixels)
