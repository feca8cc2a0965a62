"""Inference settings of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkingpose.io.errors import UserError
from talkingpose.model.checkpoint_folder import CheckpointError, checkpoint_folder
from talkingpose.model.inference_settings import (
    INFERENCE_FILE,
    InferenceSettings,
    read_inference,
)
from talkingpose.pose import draw_pose
from talkingpose.pose.overlay import pose_image


def test_a_checkpoint_without_settings_has_those_of_the_published_model(parity_folder: Path) -> None:
    assert read_inference(parity_folder) == InferenceSettings(
        num_inference_steps=30, guidance_scale=3.5, pose_picture="dwpose"
    )


def test_settings_come_back_as_written(tmp_path: Path) -> None:
    own = InferenceSettings(num_inference_steps=8, guidance_scale=1.25, pose_picture="proportional")
    own.write(tmp_path)
    assert read_inference(tmp_path) == own


@pytest.mark.parametrize(
    "text", ["", "[]", '{"num_inference_steps": 0}', '{"pose_picture": "oil"}', '{"x": 1}']
)
def test_invalid_settings_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / INFERENCE_FILE).write_text(text)
    with pytest.raises(UserError, match=INFERENCE_FILE) as caught:
        read_inference(tmp_path)
    assert "\n" not in str(caught.value)


def test_poses_are_drawn_as_in_training(parity_folder: Path) -> None:
    with np.load(parity_folder / "dwpose_render.npz") as data:
        keypoints = data["keypoints"][0]
    drawn = {
        kind: InferenceSettings(pose_picture=kind).draw(keypoints, 128, 128)
        for kind in ("dwpose", "proportional")
    }
    assert np.array_equal(drawn["dwpose"], draw_pose(keypoints, 128, 128))
    assert np.array_equal(drawn["proportional"], pose_image(keypoints, 128, 128))
    assert not np.array_equal(*drawn.values())
    large = [InferenceSettings(pose_picture=kind).draw(keypoints, 512, 512) for kind in drawn]
    assert np.array_equal(*large)


def test_a_checkpoint_is_found_by_name_or_folder(parity_folder: Path, tmp_path: Path) -> None:
    assert checkpoint_folder(parity_folder) == parity_folder
    with pytest.raises(CheckpointError, match="no such folder"):
        checkpoint_folder(tmp_path / "tiny")
