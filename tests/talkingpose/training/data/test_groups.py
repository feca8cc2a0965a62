"""Groups of frames: positions, crops with their keypoints, reproducibility."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from talkingpose.pose import FACE, MIRROR_PERMUTATION, draw_pose
from talkingpose.pose.overlay import pose_image
from talkingpose.training.config import AugmentationConfig, TrainConfig, checked
from talkingpose.training.data.groups import cut, make_group, random_stream, region_weights, spread
from talkingpose.training.data.samples import Samples, batches
from talkingpose.training.errors import TrainingError


class Dots:
    """A white dot on black at the nose, the only keypoint; frames of the requested size."""

    revision = None

    def __len__(self) -> int:
        return 1

    def num_frames(self, clip: int) -> int:
        return 100

    def frames(self, clip: int, indices: Sequence[int], side: int) -> list[tuple[np.ndarray, np.ndarray]]:
        frames = []
        for index in indices:
            image, keypoints = np.zeros((side, side, 3), np.uint8), np.zeros((133, 3), np.float32)
            keypoints[0] = (0.3 + 0.004 * index, 0.5, 1)
            cv2.circle(image, tuple(int(v * side) for v in keypoints[0, :2]), 2, (255, 255, 255), -1)
            frames.append((image, keypoints))
        return frames


@given(st.integers(2, 6), st.integers(1, 12), st.integers(0, 200), st.integers(0, 5))
def test_frames_of_a_pair_are_apart(count: int, distance: int, more: int, seed: int) -> None:
    length = (count - 1) * distance + 1 + more
    chosen = sorted(spread(length, count, distance, np.random.default_rng(seed)))
    assert chosen[0] >= 0 and chosen[-1] < length
    assert all(b - a >= distance for a, b in itertools.pairwise(chosen))


def test_a_clip_too_short_is_refused() -> None:
    with pytest.raises(TrainingError, match="2 frames at least 10 apart need 11"):
        spread(10, 2, 10, np.random.default_rng(0))


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("separate", [0.0, 1.0])
def test_keypoints_follow_crop_and_mirror(flip: float, separate: float) -> None:
    augmentation = AugmentationConfig(crop_scale=(0.5, 0.8), flip=flip, separate_reference=separate)
    for seed in range(5):
        group = make_group(Dots(), 0, 4, 64, augmentation, np.random.default_rng(seed))
        for image, keypoints in zip(group.images, group.keypoints, strict=True):
            if keypoints[0, 2] == 0:
                continue
            ys, xs = np.nonzero(image[..., 0] > 128)
            where = MIRROR_PERMUTATION.index(0)
            assert np.allclose((xs.mean() + 0.5, ys.mean() + 0.5), keypoints[where, :2] * 64, atol=1.6)
        assert group.separate == bool(separate)


def test_a_point_outside_the_crop_is_absent() -> None:
    keypoints = np.zeros((133, 3), np.float32)
    keypoints[0], keypoints[1] = (0.5, 0.5, 1), (0.05, 0.5, 1)
    image, moved = cut(np.zeros((100, 100, 3), np.uint8), keypoints, (0.8, 0.5, 0.5), 40)
    assert image.shape == (40, 40, 3)
    assert np.allclose(moved[0], (0.5, 0.5, 1))
    assert not moved[1].any()


def test_a_wide_frame_gives_its_middle() -> None:
    image = np.zeros((50, 100, 3), np.uint8)
    image[:, 25:75] = 200
    square, _ = cut(image, np.zeros((133, 3), np.float32), (1.0, 0.5, 0.5), 50)
    assert (square == 200).all()


def test_a_face_has_more_weight() -> None:
    keypoints = np.zeros((133, 3), np.float32)
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    keypoints[FACE] = np.stack([0.25 + 0.2 * np.cos(angles), 0.25 + 0.2 * np.sin(angles), np.ones(68)], 1)
    weights = region_weights(keypoints, 16, 3.0, 2.0)
    assert weights.shape == (16, 16)
    assert weights[4, 4] == 3
    assert weights[12, 12] == 1
    assert weights.mean() == pytest.approx(1 + 2 * np.pi * 0.2**2, rel=0.05)


def test_pose_picture_at_512_is_dwpose_and_keeps_fingers_apart_below() -> None:
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.random((133, 2)), np.ones((133, 1))], axis=1)
    assert np.array_equal(pose_image(keypoints, 512, 640), draw_pose(keypoints, 512, 640))
    hand = np.zeros((133, 3))
    hand[91:112] = np.concatenate([0.4 + 0.2 * rng.random((21, 2)), np.ones((21, 1))], axis=1)
    assert (draw_pose(hand, 128, 128)[..., :2] > 60).sum() < (pose_image(hand, 128, 128)[..., :2] > 60).sum()


def test_a_sample_is_a_function_of_its_number(config: TrainConfig) -> None:
    first, second = Samples(config, 16, (2, 2)), Samples(config, 16, (2, 2))
    later = [second[number] for number in (5, 3)][1]
    assert all(torch.equal(value, later[name]) for name, value in first[3].items())
    assert not torch.equal(first[3]["target"], first[4]["target"])


def test_batches_do_not_depend_on_workers_or_start(config: TrainConfig) -> None:
    samples = Samples(config, 16, (1, 1))
    whole = list(batches(samples, config, 0, 0, 1))
    parallel = batches(samples, config.model_copy(update={"workers": 1}), 2, 0, 1)
    assert len(whole) == config.steps
    for ours, theirs in zip(whole[2:], parallel, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_processes_share_the_samples_of_a_step(config: TrainConfig) -> None:
    samples = Samples(config, 16, (1, 1))
    alone = config.model_copy(update={"batch_size": 4, "steps": 1})
    both = config.model_copy(update={"batch_size": 2, "steps": 1})
    whole = next(batches(samples, alone, 0, 0, 1))["target"]
    halves = [next(batches(samples, both, 0, rank, 2))["target"] for rank in (0, 1)]
    assert torch.equal(whole, torch.cat(halves))


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("separate", [0.0, 1.0])
def test_samples_in_a_row_share_a_portrait(
    content: dict[str, Any], tmp_path: Path, pool: bool, separate: float
) -> None:
    content |= {"batch_size": 6, "targets_per_portrait": 3, "augmentation": {"separate_reference": separate}}
    if pool:
        content["pool"] = {"folder": str(tmp_path / "pool"), "groups": 2, "frames": 6}
    samples = Samples(checked(content, "test"), 16, (1.0, 1.0))
    taken = [samples[number] for number in range(6)]
    assert [int(sample["pair"]) for sample in taken] == [0, 0, 0, 1, 1, 1]
    for shared in (taken[:3], taken[3:]):
        assert all(torch.equal(sample["reference"], shared[0]["reference"]) for sample in shared)
        assert len({int(sample["frame"]) for sample in shared} | {int(shared[0]["portrait"])}) == 4
    assert not torch.equal(taken[0]["reference"], taken[3]["reference"])
    # In whatever order they are asked for.
    again = samples[1]
    assert all(torch.equal(again[name], taken[1][name]) for name in again)


def test_random_streams_differ_by_purpose_and_number() -> None:
    draws = {
        random_stream(*key).integers(2**60) for key in ((0, "a", 1), (0, "b", 1), (0, "a", 2), (1, "a", 1))
    }
    assert len(draws) == 4
