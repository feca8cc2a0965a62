"""Structural similarity: RGB, Gaussian window of 11 pixels, sigma 1.5."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import MetricSpec
from benchmark.results import CaseScore
from talkingpose.io.image import Image

RADIUS = 5
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2
# Rows per strip: the maps stay in the processor cache, three times as fast as whole frames.
STRIP = 32


class Ssim:
    """Mean structural similarity of each frame."""

    spec = MetricSpec(
        id="ssim",
        title="Structural similarity",
        version=1,
        unit="1",
        direction="higher",
        scope="frame",
        lookback=0,
        definition=(
            "Mean over frames of the mean SSIM index over pixels and RGB channels; Gaussian window of 11x11 "
            "pixels, sigma 1.5, biased moments, range 255, K1 0.01, K2 0.03. Only pixels whose window lies "
            "inside the frame count, 5 pixels from each edge."
        ),
        source=(
            "Wang et al. 2004, equation 13; equal to skimage.metrics.structural_similarity("
            "gaussian_weights=True, sigma=1.5, use_sample_covariance=False) "
            "and, inside the border, to torchmetrics' map, whose own mean counts a reflected border too"
        ),
        blind_spots="motion and order of frames; a constant shift of brightness costs little",
    )

    def start(self, case: CaseShape) -> SsimState:
        """Begin a clip."""
        return SsimState()


class SsimState:
    """Running mean of the scores of the frames."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._frames = 0

    def update(self, window: FrameWindow) -> float | None:
        """Return SSIM of the newest pair, 1 for identical frames, None for frames below 11 pixels."""
        real = window.real()
        if min(real.shape[:2]) <= 2 * RADIUS:
            return None
        score = ssim(real, window.generated())
        self._sum += score
        self._frames += 1
        return score

    def finish(self) -> CaseScore:
        """Return the mean over frames."""
        if not self._frames:
            return CaseScore(
                value=None, n_frames=0, state="unavailable", reason="frames below 11 pixels per side"
            )
        return CaseScore(value=self._sum / self._frames, n_frames=self._frames, state="ok")


def ssim(real: Image, generated: Image) -> float:
    """Return SSIM of two uint8 (H, W, 3) frames of at least 11 pixels per side, in [-1, 1].

    It is within 1e-6 of float64. Sum and difference of the frames are filtered instead of the frames: four
    filters instead of five, and the index of identical frames is exactly 1.
    """
    height, width = real.shape[:2]
    rows = height - 2 * RADIUS
    total = 0.0
    for top in range(0, rows, STRIP):
        strip = slice(top, min(top + STRIP, rows) + 2 * RADIUS)
        total += _sum_of_index(real[strip], generated[strip])
    return total / (rows * (width - 2 * RADIUS) * 3)


def _sum_of_index(real: Image, generated: Image) -> float:
    """Return the sum of the index over the pixels of a strip whose window lies inside it."""
    x, y = real.astype(np.float32), generated.astype(np.float32)
    difference = x - y
    # Centred, so that float32 keeps the variance of bright flat areas; added to the mean below.
    x += y
    x -= 256
    mean_sum, mean_difference = _blur(x), _blur(difference)
    # For variances of sum and difference, half the sum is var x + var y and half the difference is
    # 2 cov(x, y); the same holds for the squares of the means.
    var_sum = _blur(x * x) - mean_sum * mean_sum
    square_difference = mean_difference * mean_difference
    var_difference = _blur(difference * difference) - square_difference
    square_sum = np.square(mean_sum + 256)
    index = (square_sum - square_difference + 2 * C1) * (var_sum - var_difference + 2 * C2)
    index /= (square_sum + square_difference + 2 * C1) * (var_sum + var_difference + 2 * C2)
    return float(index.sum(dtype=np.float64))


def _blur(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    import cv2

    window = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    window = (window / window.sum()).astype(np.float32)
    blurred = cv2.sepFilter2D(image, -1, window, window, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred[RADIUS:-RADIUS, RADIUS:-RADIUS], dtype=np.float32)
