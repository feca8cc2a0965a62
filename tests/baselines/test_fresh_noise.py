from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from baselines.fresh_noise import FreshNoise
from baselines.talkingpose_model import OpenLoop, TalkingPose
from talkingpose.data.contestant import Case
from tests.baselines.test_talkingpose_model import PARITY, case


def still(clip_id: str, num_frames: int) -> Case:
    """A clip whose pose does not change."""
    moving = case(clip_id, num_frames)
    return dataclasses.replace(moving, keypoints=[next(iter(moving.keypoints))] * num_frames)


def video(model: TalkingPose, *cases: Case, seed: int = 0) -> np.ndarray:
    """The frames of the first case."""
    return np.stack([images[0] for images in model.animate(cases, seed=seed)][: cases[0].num_frames])


@pytest.fixture(scope="module")
def fresh() -> FreshNoise:
    return FreshNoise(checkpoint=str(PARITY), device="cpu", steps="2", guidance="1")


def test_only_the_noise_differs_from_open_loop(fresh: FreshNoise) -> None:
    opened = video(OpenLoop(checkpoint=str(PARITY), device="cpu", steps="2", guidance="1"), still("a", 3))
    made = video(fresh, still("a", 3))
    assert fresh.info.name == "fresh-noise" and fresh.info.args["gain"] == 0.0
    assert np.array_equal(opened[0], opened[2])
    assert np.array_equal(made[0], opened[0])
    assert not np.array_equal(made[1], made[0]) and not np.array_equal(made[2], made[1])


def test_a_frame_depends_on_seed_case_and_index_alone(fresh: FreshNoise) -> None:
    alone = video(fresh, still("a", 3))
    assert np.array_equal(video(fresh, still("a", 3)), alone)
    # Kernels may round in another order for another batch size; the noise must be the same.
    beside = video(fresh, still("a", 3), still("b", 1)).astype(int)
    assert np.abs(beside - alone).max() <= 1
    assert np.abs(video(fresh, still("a", 3), seed=1).astype(int) - alone).max() > 5


def test_clips_leave_the_batch_when_they_end(fresh: FreshNoise) -> None:
    steps = list(fresh.animate([case("a", 1, 192, 96), case("b", 3, 192, 96)], seed=0))
    assert [len(images) for images in steps] == [2, 1, 1]
    assert all(i.dtype == np.uint8 and i.shape == (96, 192, 3) for images in steps for i in images)
