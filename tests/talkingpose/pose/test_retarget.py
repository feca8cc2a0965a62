"""Retargeting: who is driven by their own poses stays as they are, and what is not known is not invented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkingpose.pose import PoseError
from talkingpose.pose.retarget import fullest_frame, retarget

SEEDS = st.integers(0, 2**32 - 1)


def person(seed: int, *, absent: float = 0.2, shoulders: bool = True) -> np.ndarray:
    """Random points in the middle of the frame, some absent."""
    random = np.random.default_rng(seed)
    points = np.concatenate([random.uniform(0.35, 0.65, (133, 2)), random.uniform(0.3, 1, (133, 1))], axis=1)
    points[random.random(133) < absent] = 0
    for row, x in ((5, 0.6), (6, 0.4)):
        points[row] = (x, 0.5, 1.0) if shoulders else 0
    return points.astype(np.float32)


@given(SEEDS, SEEDS, st.booleans(), st.sampled_from([1.0, 16 / 9, 0.5]))
@settings(max_examples=60, deadline=None)
def test_the_same_person_stays(seed: int, frames: int, shoulders: bool, aspect: float) -> None:
    me = person(seed, shoulders=shoulders)
    driving = np.stack([person(frames), person(frames + 1, shoulders=False)])
    np.testing.assert_allclose(retarget(driving, me, me, aspect=aspect), driving, atol=1e-5)


@given(SEEDS, SEEDS, SEEDS, st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(0.7, 1.3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_it_follows_the_portrait(
    a: int, b: int, c: int, dx: float, dy: float, scale: float, shoulders: bool
) -> None:
    driving, driver, portrait = person(a), person(b), person(c, shoulders=shoulders)
    there = portrait[:, 2:] > 0
    changed = portrait.astype(np.float64)
    changed[:, :2] = (changed[:, :2] * scale + (dx, dy)) * there
    before, after = retarget(driving, driver, portrait), retarget(driving, driver, changed)
    both = (before[:, 2] > 0) & (after[:, 2] > 0)
    expected = before[both, :2] * scale + (dx, dy)
    np.testing.assert_allclose(after[both, :2], expected, atol=1e-4)


@given(SEEDS, SEEDS, SEEDS, st.floats(0, 1), st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_no_point_is_invented(a: int, b: int, c: int, absent: float, left: bool, right: bool) -> None:
    driving = person(a, absent=absent, shoulders=left)
    found = retarget(driving, person(b, absent=absent, shoulders=right), person(c, shoulders=left))
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert (found >= 0).all() and (found <= 1).all()
    assert (found[driving[:, 2] == 0] == 0).all()
    kept = found[:, 2] > 0
    assert (found[kept, 2] == driving[kept, 2]).all() and (found[~kept] == 0).all()


def test_a_long_forearm_keeps_the_direction_and_carries_the_hand() -> None:
    driver = np.zeros((133, 3), np.float32)
    for row, (x, y) in {
        5: (0.6, 0.4),
        6: (0.4, 0.4),
        7: (0.65, 0.5),
        9: (0.65, 0.6),
        91: (0.65, 0.61),
    }.items():
        driver[row] = (x, y, 1)
    portrait = driver.copy()
    portrait[9, 1] = 0.65
    portrait[91] = 0
    driving = driver.copy()
    driving[9, :2], driving[91, :2] = (0.75, 0.5), (0.76, 0.5)
    found = retarget(driving, driver, portrait)
    np.testing.assert_allclose(found[9, :2], (0.80, 0.5), atol=1e-6)
    np.testing.assert_allclose(found[91, :2], (0.815, 0.5), atol=1e-6)
    np.testing.assert_allclose(found[[5, 6, 7]], driving[[5, 6, 7]], atol=1e-6)


def test_what_leaves_the_frame_is_absent() -> None:
    driver = person(1, absent=0)
    portrait = driver.copy()
    portrait[:, 0] += 0.34
    driving = driver.copy()
    driving[0, 0] = 0.9
    assert (retarget(driving, driver, portrait)[0] == 0).all()


def test_without_a_common_point_nothing_moves() -> None:
    driving = person(3)
    np.testing.assert_array_equal(retarget(driving, np.zeros((133, 3), np.float32), person(4)), driving)


def test_the_fullest_frame_is_the_earliest_of_them() -> None:
    frames = np.stack([person(1, absent=0.5), person(2, absent=0), person(3, absent=0)])
    assert fullest_frame(frames) == 1


@pytest.mark.parametrize("aspect", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_aspect_is_refused(aspect: float) -> None:
    with pytest.raises(PoseError, match="aspect"):
        retarget(person(1), person(2), person(3), aspect=aspect)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(PoseError, match="one frame"):
        retarget(person(1), person(2)[None], person(3))
