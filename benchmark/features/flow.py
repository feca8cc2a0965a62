"""Optical flow from each frame to the previous one, with a validity mask, without weights."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureSpec, FrameWindow, Side

Floats = npt.NDArray[np.float32]

# Tolerance of the forward-backward check (Sundaram et al., ECCV 2010).
_RELATIVE, _ABSOLUTE = 0.01, 0.5
# DIS uses patches of 8 pixels on a pyramid; smaller frames have no level.
MIN_SIDE = 32


@dataclass(frozen=True)
class BackwardFlow:
    """Flow from a frame to the previous one.

    Attributes:
        at: float32 (H, W, 2), x and y in the previous frame for each pixel of the frame, in pixels.
        valid: uint8 (H, W), 1 where the pixel is visible in the previous frame, 0 where it is hidden.
    """

    at: Floats
    valid: npt.NDArray[np.uint8]


class Flow:
    """Dense inverse search on grey frames, checked forward and backward."""

    spec = FeatureSpec(
        id="flow",
        version=1,
        definition=(
            "Optical flow by OpenCV's DISOpticalFlow, preset fast, on grey frames (cvtColor RGB2GRAY) at "
            "full size, from frame t to t-1 and back. A pixel is valid where |b + f(b)|^2 <= 0.01 (|b|^2 + "
            "|f(b)|^2) + 0.5, b the flow to t-1 and f(b) the flow back at its end point (Sundaram et al. "
            "2010), and where the end point lies in the frame. None for frames below 32 pixels per side and "
            "for the first frame."
        ),
        lookback=1,
    )

    def extract(self, window: FrameWindow, side: Side, back: int) -> BackwardFlow | None:
        """Return the flow of one frame of the window, None for the first frame and for small frames."""
        import cv2

        if window.t - back < 1 or min(window.image(side, back).shape[:2]) < MIN_SIDE:
            return None
        now, before = (cv2.cvtColor(window.image(side, b), cv2.COLOR_RGB2GRAY) for b in (back, back + 1))
        dis = _dis(*now.shape)
        to_before, to_now = dis.calc(now, before, None), dis.calc(before, now, None)
        at = to_before + _grid(*now.shape)
        returned: Floats = np.asarray(
            cv2.remap(to_now, at, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
        )
        error = _squared(to_before + returned)
        allowed = _RELATIVE * (_squared(to_before) + _squared(returned)) + _ABSOLUTE
        inside = cv2.inRange(at, np.zeros(2), np.array([now.shape[1] - 1.0, now.shape[0] - 1.0]))
        return BackwardFlow(at, ((error <= allowed) & (inside > 0)).astype(np.uint8))


@cache
def _dis(height: int, width: int) -> Any:
    """Return the estimator for one frame size: its buffers leak from one size into the next."""
    # The stubs of OpenCV lack this class.
    cv2: Any = importlib.import_module("cv2")
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)


@cache
def _grid(height: int, width: int) -> Floats:
    return np.asarray(np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1), np.float32)


def _squared(flow: Floats) -> Floats:
    squares: Floats = flow[..., 0] ** 2 + flow[..., 1] ** 2
    return squares
