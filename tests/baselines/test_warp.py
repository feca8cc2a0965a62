from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from baselines.warp import Warp
from talkingpose.data.clips import load_clips
from talkingpose.data.contestant import Case, ContestantError


def case(index: int, num_frames: int) -> Case:
    clip = load_clips("tp-mini", split="test")[index]
    return Case(
        clip.clip_id, clip.portrait, clip.keypoints[:num_frames], clip.fps, *clip.size, num_frames=num_frames
    )


@pytest.fixture(scope="module")
def alone() -> list[np.ndarray]:
    """Two cases, each alone."""
    return [
        np.stack([f[0] for f in Warp(checkpoint=None, device="cpu").animate([case(i, n)], seed=0)])
        for i, n in ((0, 3), (2, 13))
    ]


def test_a_case_does_not_depend_on_batch_seed_or_run(alone: list[np.ndarray]) -> None:
    steps = list(Warp(checkpoint=None, device="cpu").animate([case(0, 3), case(2, 13)], seed=7))
    assert [len(images) for images in steps] == [2] * 3 + [1] * 10
    assert np.array_equal(np.stack([images[0] for images in steps[:3]]), alone[0])
    assert np.array_equal(np.stack([images[-1] for images in steps]), alone[1])


def test_frames_depend_on_the_poses_of_the_next_04_seconds(alone: list[np.ndarray]) -> None:
    long = case(2, 13)
    read = []

    def poses() -> Iterator[np.ndarray]:
        for pose in long.keypoints:
            read.append(1)
            yield pose

    stream = Warp(checkpoint=None, device="cpu").animate(
        [dataclasses.replace(long, keypoints=poses())], seed=0
    )
    for step in range(2):
        assert np.array_equal(next(stream)[0], alone[1][step])
        assert len(read) == step + 1 + round(0.4 * long.fps)


def test_it_needs_neither_weights_nor_driving_frames() -> None:
    info = Warp(checkpoint=None, device="cpu").info
    assert not info.needs_driving_frames and not info.control and info.parameters == 0
    with pytest.raises(ContestantError, match="no weights"):
        Warp(checkpoint="tiny", device="cpu")
