"""Torsos that are smoothed without lag."""

from __future__ import annotations

import numpy as np
import pytest

from talkingpose.pose.keypoints import PoseError
from talkingpose.warp.look_ahead import with_steady_torso

TORSO = [5, 6, 11, 12]


def walk(number: int = 80) -> np.ndarray:
    """A person who walks to the right at constant speed."""
    poses = np.full((number, 133, 3), 0.5, np.float32)
    poses[..., 2] = 0.9
    poses[..., 0] += np.arange(number)[:, None] * 0.004
    return poses


def test_a_walk_has_no_lag_and_noise_is_reduced() -> None:
    poses = walk()
    steady = np.stack(list(with_steady_torso(poses, 25)))
    assert steady[12:-12] == pytest.approx(poses[12:-12], abs=1e-5)
    noise = np.random.default_rng(0).normal(0, 0.01, poses[..., :2].shape)
    noisy = poses.copy()
    noisy[..., :2] += noise
    rest = np.stack(list(with_steady_torso(noisy, 25))) - poses
    assert rest[12:-12, TORSO, :2].std() < 0.4 * noise.std()
    assert rest[0, TORSO, 1].std() < 0.6 * noise.std()
    assert np.array_equal(rest[:, 0], noisy[:, 0] - poses[:, 0])


def test_missing_points_stay_missing_and_do_not_pull() -> None:
    poses = walk()
    poses[20:24, 5] = 0
    steady = np.stack(list(with_steady_torso(poses, 25)))
    assert not steady[20:24, 5].any()
    assert steady[25, 5, 1] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_short_clips(number: int) -> None:
    assert len(list(with_steady_torso(walk(number), 25))) == number


def test_invalid_keypoints() -> None:
    with pytest.raises(PoseError, match="driving"):
        list(with_steady_torso([np.zeros((17, 3), np.float32)], 25))
