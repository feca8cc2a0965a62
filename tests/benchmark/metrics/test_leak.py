"""Leak: the pasted driver is worst, the frozen portrait best, everything else between."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.stats

from benchmark.features.colour_distribution import ColourDistribution
from benchmark.metrics import CaseShape, family
from benchmark.metrics.leak import LeakState, _angle
from benchmark.metrics.scoring import Scoring
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore
from tests.benchmark.metrics.scoring import panned, texture

PORTRAIT = texture(1)
DRIVER = np.clip(panned(2).astype(int) // 2 + (90, 0, 40), 0, 255).astype(np.uint8)


def leak(generated: np.ndarray, driver: np.ndarray = DRIVER, portrait: np.ndarray = PORTRAIT) -> CaseScore:
    metric = family("leak")[0]
    shape = CaseShape("clip", Fraction(25), portrait.shape[1], portrait.shape[0], len(driver))
    scoring = Scoring(shape, portrait, [metric])
    for frame, driven in zip(generated, driver, strict=True):
        scoring.window.push(None, frame, None, driven)
        scoring.score()
    return scoring.finish()[0]["leak"]


def test_pasted_driver_is_worst_and_frozen_portrait_is_best() -> None:
    assert leak(DRIVER).value == pytest.approx(1, abs=1e-12)
    frozen = np.stack([PORTRAIT] * len(DRIVER))
    assert leak(frozen).value == pytest.approx(-1, abs=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = (rng.integers(0, 256, 3) + rng.uniform(0, 60) * rng.normal(size=DRIVER.shape)).clip(0, 255)
        assert -1 < leak(other.astype(np.uint8)).value < 1


def test_leak_grows_with_the_share_of_the_driver() -> None:
    values = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        mixed = np.stack([PORTRAIT] * len(DRIVER))
        columns = round(share * mixed.shape[2])
        mixed[:, :, :columns] = DRIVER[:, :, :columns]
        values.append(leak(mixed).value)
    assert values == sorted(values) and values[0] == -1 and values[-1] == pytest.approx(1)


def test_motion_alone_is_no_leak() -> None:
    moved = np.stack([np.roll(PORTRAIT, (7 * t, 3 * t), (0, 1)) for t in range(len(DRIVER))])
    assert leak(moved).value == pytest.approx(-1, abs=1e-12)


def test_alike_portrait_and_driver_cannot_be_judged() -> None:
    alike = np.stack([PORTRAIT] * len(DRIVER))
    found = leak(DRIVER, driver=alike)
    assert found.value is None and found.state == "unavailable" and found.coverage == 0
    half = np.concatenate([alike[:3], DRIVER[3:]])
    found = leak(DRIVER, driver=half)
    assert (found.state, found.n_frames, found.coverage) == ("partial", 3, 0.5)


def test_distance_of_colours_is_a_sum_of_wasserstein_distances() -> None:
    window = PairWindow(0, reference=PORTRAIT)
    window.push(None, DRIVER[0])
    feature = ColourDistribution()
    one, other = (feature.extract(window, side, 0) for side in ("reference", "generated"))
    expected = 0.0
    for direction in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -1, 0), (1, 1, -2)):
        lines = [(image.reshape(-1, 3).astype(int) @ direction) for image in (PORTRAIT, DRIVER[0])]
        expected += scipy.stats.wasserstein_distance(*lines)
    assert np.abs(one - other).sum() == pytest.approx(expected, rel=1e-9)


def test_leak_of_identity_by_angles() -> None:
    """Faces as unit vectors: portrait at 0, driver at 90 degrees, the generated one between."""

    class Window:
        degrees: Any

        def feature(self, name: str, side: str, back: int = 0) -> np.ndarray | None:
            degrees = {"reference": 0, "driver": 90, "generated": self.degrees}[side]
            if degrees is None:
                return None
            return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])

    for degrees, expected in ((0, -1), (45, 0), (60, 1 / 3), (90, 1)):
        state, window = LeakState("identity-sface", _angle, 0.1), Window()
        window.degrees = degrees
        assert state.update(window) == pytest.approx(expected, abs=1e-6)
        window.degrees = None
        assert state.update(window) is None
        assert state.finish().coverage == 0.5


def test_driving_frames_must_be_declared() -> None:
    window = PairWindow(0, reference=PORTRAIT)
    window.push(None, PORTRAIT)
    with pytest.raises(LookupError, match="needs_driver"):
        window.image("driver")
