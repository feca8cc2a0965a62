"""Puppets of a drawn speaker: what a person would notice if it were missing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from talkingpose.data.clips import Clip, load_clips
from talkingpose.io.image import Image
from talkingpose.pose.keypoints import FACE, LEFT_HAND, RIGHT_HAND, PoseError
from talkingpose.warp.puppet import Puppet
from talkingpose.warp.skeleton import present


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clips("tp-mini", split="test")[2]


def frames(clip: Clip, poses: np.ndarray, pose: np.ndarray | None = None) -> list[Image]:
    puppet = Puppet(clip.portrait, clip.keypoints[0] if pose is None else pose, float(clip.fps))
    return [puppet.frame(keypoints) for keypoints in poses]


def psnr(a: Image, b: Image) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


def shifted(poses: np.ndarray, x: float, y: float) -> np.ndarray:
    moved = poses.copy()
    moved[..., :2] += np.where(poses[..., 2:] > 0, (x, y), 0)
    return moved


def test_the_portraits_own_pose_gives_the_portrait(clip: Clip) -> None:
    for frame in frames(clip, np.repeat(clip.keypoints[:1], 3, axis=0)):
        assert psnr(frame, clip.portrait) > 33
        # What does not move is not touched.
        assert np.array_equal(frame[:10, :10], clip.portrait[:10, :10])


def test_real_poses_come_closer_to_the_real_frames_than_the_portrait(clip: Clip) -> None:
    real = list(itertools.islice(clip.frames(), 80))
    made = frames(clip, clip.keypoints[:80])
    gain = [psnr(made[t], real[t]) - psnr(clip.portrait, real[t]) for t in range(5, 80, 5)]
    assert np.mean(gain) > 3


def test_the_person_follows_and_the_background_stays(clip: Clip) -> None:
    still = np.repeat(clip.keypoints[:1], 20, axis=0)
    frame = frames(clip, shifted(still, 0.1, 0.0))[-1]
    step = round(0.1 * clip.width)
    face = clip.keypoints[0, FACE, :2] * (clip.width, clip.height)
    left, top = np.floor(face.min(axis=0)).astype(int)
    right, bottom = np.ceil(face.max(axis=0)).astype(int)
    there = frame[top:bottom, left + step : right + step]
    assert psnr(there, clip.portrait[top:bottom, left:right]) > 25
    assert np.array_equal(frame[:8, :8], clip.portrait[:8, :8])


@pytest.mark.parametrize("x, y", [(0.6, 0.0), (-0.7, 0.2), (0.0, 1.5), (3.0, 3.0)])
def test_points_outside_the_picture_leave_the_background(clip: Clip, x: float, y: float) -> None:
    frame = frames(clip, shifted(clip.keypoints[:3], x, y))[-1]
    assert frame.shape == clip.portrait.shape and frame.dtype == np.uint8
    # No hole: nothing is black that was not dark before.
    assert frame.min() >= int(clip.portrait.min()) - 25


@pytest.mark.parametrize("rows", [LEFT_HAND, RIGHT_HAND, FACE, slice(5, 7), slice(0, 17), slice(0, 133)])
def test_parts_missing_in_the_drive_follow_the_rest(clip: Clip, rows: slice) -> None:
    poses = clip.keypoints[:24].copy()
    poses[20:, rows] = 0
    made = frames(clip, poses)
    steps = [np.abs(b.astype(int) - a).mean() for a, b in itertools.pairwise(made)]
    # No jump where the part is lost.
    assert steps[19] <= 2 * max(steps[:19])


@pytest.mark.parametrize("rows", [LEFT_HAND, slice(7, 11), FACE, slice(11, 17), slice(5, 7), slice(0, 133)])
def test_parts_missing_in_the_portrait_are_not_invented(clip: Clip, rows: slice) -> None:
    pose = clip.keypoints[0].copy()
    pose[rows] = 0
    made = frames(clip, clip.keypoints[:5], pose)
    assert psnr(made[0], clip.portrait) > 20


def test_a_face_that_turns_inside_out_does_not_fold(clip: Clip) -> None:
    poses = np.repeat(clip.keypoints[:1], 10, axis=0)
    face = poses[:, FACE, :2]
    poses[:, FACE, 0] = 2 * face[..., 0].mean() - face[..., 0]
    frame = frames(clip, poses)[-1]
    assert psnr(frame, clip.portrait) > 15


def test_noise_of_a_resting_pose_is_smoothed(clip: Clip) -> None:
    poses = np.repeat(clip.keypoints[:1], 60, axis=0)
    noise = np.random.default_rng(0).normal(0, 0.002, poses[..., :2].shape)
    poses[..., :2] += np.where(poses[..., 2:] > 0, noise, 0)
    puppet = Puppet(clip.portrait, clip.keypoints[0], 25)
    shown = present(clip.keypoints[0])
    smooth = np.stack([puppet._track.update(pose * (128, 128, 1))[shown] for pose in poses.astype(float)])
    raw = poses[:, shown, :2] * 128
    assert np.diff(smooth[20:], axis=0).std() < 0.6 * np.diff(raw[20:], axis=0).std()


def test_invalid_keypoints_are_refused(clip: Clip) -> None:
    with pytest.raises(PoseError, match="portrait"):
        Puppet(clip.portrait, np.zeros((17, 3), np.float32), 25)
    with pytest.raises(PoseError, match="not finite"):
        frames(clip, np.full((1, 133, 3), np.nan, np.float32))
