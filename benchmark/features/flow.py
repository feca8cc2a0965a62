"""Optical flow of a video from each frame back to the one before, without weights, and where it holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import FeatureSpec

if TYPE_CHECKING:
    from benchmark.metrics.window import PairWindow, Side

Floats = npt.NDArray[np.float32]

# Sundaram et al., ECCV 2010: a flow and its way back may miss each other by this much.
_RELATIVE, _ABSOLUTE = 0.01, 0.5
# DIS looks at patches of 8 pixels on a pyramid; below this it has no level to look at.
MIN_SIDE = 32


@dataclass(frozen=True)
class BackwardFlow:
    """From a frame to the one before.

    Attributes:
        at: float32 (H, W, 2): for each pixel of the frame, x and y in the frame before, in pixels.
        valid: uint8 (H, W): 1 where the pixel was seen in the frame before, 0 where it was hidden.
    """

    at: Floats
    valid: npt.NDArray[np.uint8]


class Flow:
    """Dense inverse search on grey frames, checked forwards and backwards."""

    spec = FeatureSpec(
        id="flow",
        version=1,
        definition=(
            "Optical flow by OpenCV's DISOpticalFlow, preset fast, on grey frames (cvtColor RGB2GRAY) at "
            "full size, from frame t to t-1 and back. A pixel is valid where |b + f(b)|^2 <= 0.01 (|b|^2 + "
            "|f(b)|^2) + 0.5, b the flow to t-1 and f(b) the flow back at the place it leads to (Sundaram "
            "et al. 2010), and where that place lies in the frame. None where a side is below 32 pixels, and "
            "for the first frame."
        ),
        lookback=1,
    )

    def extract(self, window: PairWindow, side: Side, back: int) -> BackwardFlow | None:
        """The flow of one frame of the window, None where there is none before it."""
        import cv2

        if window.t - back < 1 or min(window.image(side, back).shape[:2]) < MIN_SIDE:
            return None
        now, before = (cv2.cvtColor(window.image(side, b), cv2.COLOR_RGB2GRAY) for b in (back, back + 1))
        dis = _dis(*now.shape)
        to_before, to_now = dis.calc(now, before, None), dis.calc(before, now, None)
        at = to_before + _grid(*now.shape)
        returned = cv2.remap(to_now, at, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        missed = _squared(to_before + returned)
        allowed = _RELATIVE * (_squared(to_before) + _squared(returned)) + _ABSOLUTE
        inside = cv2.inRange(at, np.zeros(2), np.array([now.shape[1] - 1.0, now.shape[0] - 1.0]))
        return BackwardFlow(at, ((missed <= allowed) & (inside > 0)).astype(np.uint8))


@cache
def _dis(height: int, width: int) -> Any:
    """Its buffers are worth keeping, but they leak from one frame size into the next: one for each size."""
    import cv2

    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)


@cache
def _grid(height: int, width: int) -> Floats:
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


def _squared(flow: Floats) -> Floats:
    squares: Floats = flow[..., 0] ** 2 + flow[..., 1] ** 2
    return squares
