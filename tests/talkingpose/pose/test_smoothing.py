"""Smoothing takes jitter away and never makes a point."""

from __future__ import annotations

import numpy as np
import pytest

from talkingpose.pose import LEFT_HAND, NUM_KEYPOINTS, PoseError, smooth

FPS, WIDTH, HEIGHT = 25.0, 640, 360


def standing(frames: int) -> np.ndarray:
    """A person who does not move: all points there, shoulders a quarter of the width apart."""
    keypoints = np.zeros((frames, NUM_KEYPOINTS, 3), np.float32)
    keypoints[..., 0] = np.linspace(0.3, 0.7, NUM_KEYPOINTS)
    keypoints[..., 1], keypoints[..., 2] = 0.5, 0.9
    keypoints[:, 5, 0], keypoints[:, 6, 0] = 0.625, 0.375
    return keypoints


def test_jitter_shrinks_by_what_savitzky_golay_promises():
    rng = np.random.default_rng(0)
    noisy = standing(400)
    noise = rng.normal(0, 0.004, noisy[..., :2].shape)
    noisy[..., :2] += noise
    left = smooth(noisy, FPS, WIDTH, HEIGHT)[..., :2] - standing(400)[..., :2]
    # The middle weight of the quadratic filter over 5 points is 17/35, and so is the share of variance left.
    assert left[5:-5].var() / noise[5:-5].var() == pytest.approx(17 / 35, abs=0.01)


def test_an_evenly_accelerated_movement_stays_as_it_is():
    keypoints = standing(60)
    time = np.arange(60) / 60
    keypoints[..., 0] += (0.1 * time + 0.15 * time**2)[:, None].astype(np.float32)
    assert np.abs(smooth(keypoints, FPS, WIDTH, HEIGHT) - keypoints).max() < 1e-6


def test_missing_points_stay_missing_and_change_nothing_around_them():
    rng = np.random.default_rng(1)
    keypoints = standing(80)
    keypoints[..., :2] += rng.normal(0, 0.003, keypoints[..., :2].shape).astype(np.float32)
    keypoints[30:40, LEFT_HAND] = 0
    smoothed = smooth(keypoints, FPS, WIDTH, HEIGHT)
    assert not smoothed[30:40, LEFT_HAND].any()
    assert np.array_equal(smoothed[..., 2], keypoints[..., 2])
    # What lies before the gap knows nothing of what lies behind it.
    before = smooth(keypoints[:30], FPS, WIDTH, HEIGHT)
    assert np.array_equal(before[:, LEFT_HAND], smoothed[:30, LEFT_HAND])
    assert not np.array_equal(before, keypoints[:30])


def test_a_jump_is_not_smoothed_into_places_where_no_point_was():
    keypoints = standing(60)
    keypoints[30:, LEFT_HAND, 0] += 0.25  # the other hand was taken for it, a shoulder width away
    smoothed = smooth(keypoints, FPS, WIDTH, HEIGHT)
    assert np.allclose(smoothed, keypoints, atol=1e-6)
    keypoints = standing(60)
    keypoints[30:, LEFT_HAND, 0] += 0.05  # a quick hand
    assert np.abs(smooth(keypoints, FPS, WIDTH, HEIGHT) - keypoints).max() > 0.005


def test_the_window_is_in_seconds_and_short_runs_are_left_alone():
    rng = np.random.default_rng(2)
    keypoints = standing(40)
    keypoints[..., :2] += rng.normal(0, 0.003, keypoints[..., :2].shape).astype(np.float32)
    slow, fast = (smooth(keypoints, fps, WIDTH, HEIGHT) - standing(40) for fps in (25, 60))
    assert fast[..., :2].var() < 0.7 * slow[..., :2].var()
    for unchanged in (
        smooth(keypoints, FPS, WIDTH, HEIGHT, window_s=0),
        smooth(keypoints, 10, WIDTH, HEIGHT),
        smooth(keypoints[:4], FPS, WIDTH, HEIGHT),
    ):
        assert np.array_equal(unchanged, keypoints[: len(unchanged)])


def test_points_stay_in_the_picture():
    keypoints = standing(40)
    keypoints[:, 0, 0] = np.where(np.arange(40) % 4 == 0, 1, 0.97)
    assert smooth(keypoints, FPS, WIDTH, HEIGHT)[..., :2].max() <= 1


@pytest.mark.parametrize(
    ("keypoints", "options", "message"),
    [
        (standing(9)[0], {}, "give a video"),
        (standing(9), {"window_s": -1}, "positive"),
        (np.full((9, 133, 3), np.nan, np.float32), {}, "not finite"),
    ],
)
def test_what_is_no_video_of_keypoints_is_refused(keypoints, options, message):
    with pytest.raises(PoseError, match=message):
        smooth(keypoints, FPS, WIDTH, HEIGHT, **options)
