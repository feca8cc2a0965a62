"""PSNR, SSIM and L1 as the evaluation of DisCo computes them, for old tables on TikTok videos."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.metrics.frame_mean import FrameMean
from talkingpose.io.image import Image

_SOURCE = "Wang et al., DisCo, CVPR 2024: tool/metrics/ssim_l1_lpips_psnr.py"
_NO_FRAME = "the clip has no frame"
# Score of a pair of frames whose computed error is 0.
_CAP_DB = 100.0
# scikit-image's structural_similarity without options.
_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class DiscoPsnr:
    """PSNR with a cap of 100 dB, with or without the overflow of uint8 arithmetic.

    Args:
        overflow: compute difference and square modulo 256, as published tables do.
    """

    overflow: bool

    @property
    def spec(self) -> MetricSpec:
        """Description."""
        if self.overflow:
            return MetricSpec(
                id="psnr_disco.overflow",
                title="PSNR of published TikTok tables, with the uint8 overflow",
                version=1,
                unit="dB",
                direction="none",
                scope="frame",
                lookback=0,
                definition=(
                    "Mean over frames of 20 log10(255 / sqrt(m)), m the mean over all pixels and channels of "
                    "((g - r) mod 256)^2 mod 256: difference and square overflow in uint8. 100 dB where m is "
                    "0, also for different frames, because every multiple of 16 has the square 0."
                ),
                source=f"{_SOURCE}, first version (DisCo#86)",
                blind_spots=(
                    "nearly everything: m is at most 255, so no frame scores below 24 dB, and noise scores "
                    "as a good frame does; higher is not better. It only reproduces published numbers"
                ),
            )
        return MetricSpec(
            id="psnr_disco.exact",
            title="PSNR of TikTok tables without the overflow",
            version=1,
            unit="dB",
            direction="higher",
            scope="frame",
            lookback=0,
            definition=(
                "Mean over frames of 20 log10(255 / sqrt(MSE)), MSE over all pixels and channels in float64. "
                "An identical frame counts as 100 dB."
            ),
            source=f"{_SOURCE}, after the correction",
            blind_spots="as psnr; identical frames count with 100 dB and raise the mean by several dB",
        )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, self._score, without=_NO_FRAME)

    def _score(self, window: FrameWindow) -> float:
        real, generated = window.real(), window.generated()
        if self.overflow:
            apart = generated - real  # uint8: modulo 256
            error = float((apart * apart).mean(dtype=np.float64))
        else:
            error = float(np.square(generated.astype(np.float64) - real).mean())
        return 20 * math.log10(255 / math.sqrt(error)) if error else _CAP_DB


# With the overflow and without, side by side.
PSNR = (DiscoPsnr(overflow=True), DiscoPsnr(overflow=False))


class DiscoL1:
    """L1, divided by the number of pixels a second time."""

    spec = MetricSpec(
        id="l1_disco",
        title="L1 of published TikTok tables",
        version=1,
        unit="level/px",
        direction="lower",
        scope="frame",
        lookback=0,
        definition=(
            "Mean over frames, pixels and channels of |g - r| / (height x width), uint8 values. At 256x256 "
            "it is l1 / 65536; tables print it in units of 1E-04."
        ),
        source=_SOURCE,
        blind_spots="as l1; the value depends on the size of the frame",
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, _l1_per_pixel, without=_NO_FRAME)


class DiscoSsim:
    """SSIM of grey frames with scikit-image's default window."""

    spec = MetricSpec(
        id="ssim_disco",
        title="SSIM of published TikTok tables",
        version=1,
        unit="1",
        direction="higher",
        scope="frame",
        lookback=0,
        definition=(
            "Mean over frames of the SSIM index of the grey frames (OpenCV's RGB2GRAY, uint8): uniform "
            "window of 7x7 pixels, unbiased moments, range 255, K1 0.01, K2 0.03, pixels whose window lies "
            "inside the frame."
        ),
        source=f"{_SOURCE}; equal to skimage.metrics.structural_similarity(grey, grey)",
        blind_spots="as ssim; colour: only the brightness counts",
    )

    def start(self, case: CaseShape) -> FrameMean:
        """Begin a clip."""
        return FrameMean(self.spec, _grey_ssim, without=f"frames below {_WINDOW} pixels per side")


def _l1_per_pixel(window: FrameWindow) -> float:
    import cv2

    real = window.real()
    pixels = real.shape[0] * real.shape[1]
    return float(cv2.norm(real, window.generated(), cv2.NORM_L1)) / (3 * pixels) / pixels


def _grey_ssim(window: FrameWindow) -> float | None:
    x, y = _grey(window.real()), _grey(window.generated())
    if min(x.shape) < _WINDOW:
        return None
    mean_x, mean_y = _mean(x), _mean(y)
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    var_x = unbiased * (_mean(x * x) - mean_x**2)
    var_y = unbiased * (_mean(y * y) - mean_y**2)
    covariance = unbiased * (_mean(x * y) - mean_x * mean_y)
    index = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    index /= (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return float(index.mean())


def _grey(image: Image) -> npt.NDArray[np.float64]:
    import cv2

    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float64)


def _mean(values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return the mean over each window inside the frame."""
    import cv2

    border = _WINDOW // 2
    blurred = cv2.blur(values, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred[border:-border, border:-border])
