"""Metrics of published tables against the lines of code that computed those tables."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from benchmark.metrics import CaseShape
from benchmark.metrics.disco import PSNR, DiscoL1, DiscoSsim
from benchmark.metrics.mraa import MraaAkd, MraaL1, MraaMkr
from tests.benchmark.metrics.test_metrics import score, video

OVERFLOW, EXACT = PSNR


def published_psnr(real: np.ndarray, generated: np.ndarray) -> float:
    """As DisCo's first version: uint8 all the way to the mean."""
    mse = np.mean((generated - real) ** 2)
    return 100.0 if mse == 0 else 20 * math.log10(255.0 / math.sqrt(mse))


def test_psnr_with_and_without_the_overflow() -> None:
    real, generated = video(0), video(1)
    wrong, _ = score(OVERFLOW, real, generated)
    right, _ = score(EXACT, real, generated)
    pairs = list(zip(real, generated, strict=True))
    assert wrong.value == pytest.approx(np.mean([published_psnr(r, g) for r, g in pairs]), abs=1e-12)
    exact = [published_psnr(r.astype(float), g.astype(float)) for r, g in pairs]
    assert right.value == pytest.approx(np.mean(exact), abs=1e-9)
    assert wrong.value is not None and right.value is not None and wrong.value > right.value + 10


def test_identical_frames_and_multiples_of_16_count_as_100_db() -> None:
    real = np.full((4, 8, 8, 3), 100, np.uint8)
    assert score(OVERFLOW, real, real + np.uint8(16))[0].value == 100
    assert score(EXACT, real, real)[0].value == 100
    assert score(EXACT, real, real + np.uint8(16))[0].value == pytest.approx(20 * math.log10(255 / 16))


def test_ssim_is_that_of_scikit_image_on_grey_frames() -> None:
    real, generated = video(0), video(1)
    grey = [[cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in side] for side in (real, generated)]
    expected = [structural_similarity(r, g) for r, g in zip(*grey, strict=True)]
    assert score(DiscoSsim(), real, generated)[1] == pytest.approx(expected, abs=1e-9)


def test_l1_of_both_tables() -> None:
    real, generated = video(0), video(1)
    level = np.abs(real.astype(float) - generated).mean()
    assert score(DiscoL1(), real, generated)[0].value == pytest.approx(level / (40 * 56))
    assert score(MraaL1(), real, generated)[0].value == pytest.approx(level / 255)


class Posed:
    """Window with a pose of each side."""

    def __init__(self, real: np.ndarray, generated: np.ndarray) -> None:
        self._poses = {"real": real, "generated": generated}
        self.t = 0

    def feature(self, name: str, side: str, back: int = 0) -> np.ndarray:
        return self._poses[side]


def pose(*, shift: float = 0.0, without: tuple[int, ...] = ()) -> np.ndarray:
    points = np.zeros((133, 3), np.float32)
    points[:17] = 0.5
    points[:17, 2] = 0.9
    points[:17, 0] += shift
    points[list(without)] = 0
    return points


def test_akd_and_mkr_of_18_joints() -> None:
    shape = CaseShape("clip", Fraction(25), 384, 192, 3)
    states: list[Any] = [metric.start(shape) for metric in (MraaAkd(), MraaMkr())]
    windows: list[Any] = [
        Posed(pose(), pose(shift=0.01)),  # 3.84 pixels in x, 0 in y
        Posed(pose(), pose(without=(5, 9))),  # a shoulder, and the neck with it, and a wrist
        Posed(pose(without=tuple(range(17))), pose()),
    ]
    scores = [[state.update(window) for window in windows] for state in states]
    assert scores[0] == [pytest.approx(1.92, rel=1e-4), 0, None]
    assert scores[1] == [0, pytest.approx(3 / 18), None]
    assert [state.finish().coverage for state in states] == [pytest.approx(2 / 3)] * 2
