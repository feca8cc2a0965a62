"""The squared error of a pair of frames, and what PSNR makes of it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

PEAK = 255


def sum_of_squares(real: npt.NDArray[np.uint8], generated: npt.NDArray[np.uint8]) -> int:
    """Sum over all pixels and channels of the squared difference of two uint8 arrays, exact."""
    import cv2

    # OpenCV may take the square of a rounded root; the true sum is an integer far below 2**53.
    return round(cv2.norm(real, generated, cv2.NORM_L2SQR))


def psnr_of(squares: int, count: int) -> float:
    """PSNR in dB of a positive sum of squares over `count` values of range 0 to 255."""
    return 10 * math.log10(PEAK**2 * count / squares)
