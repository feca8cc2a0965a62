from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkingpose.animate.driving_poses import portrait_pose
from talkingpose.animate.portrait_check import covered_face, portrait_remarks
from talkingpose.animate.pose_choice import PoseChoice
from talkingpose.media import VideoReader

Portrait = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def speaker(footage: Path) -> Portrait:
    """Frame of a talk, and its keypoints."""
    reader = VideoReader(footage / "head_only" / "webcam.mp4", size=(640, 360))
    image = next(iter(reader)).image
    return image, portrait_pose(image, PoseChoice("mediapipe"))


def test_a_good_portrait_has_no_remarks(speaker: Portrait) -> None:
    assert portrait_remarks(*speaker) == []


def test_several_persons_are_counted(speaker: Portrait) -> None:
    image, pose = speaker
    both = np.concatenate([image, image[:, ::-1]], axis=1)
    assert any(remark.startswith("2 persons") for remark in portrait_remarks(both, pose))


def test_nobody_is_named() -> None:
    empty = np.full((64, 64, 3), 128, np.uint8)
    assert portrait_remarks(empty, np.zeros((133, 3), np.float32))[0].startswith("no person")


def test_a_covered_face_is_named(speaker: Portrait) -> None:
    image, pose = speaker
    assert covered_face(image, pose) is None
    hand = pose.copy()
    hand[91:112] = [*pose[23 + 51, :2], 1.0]
    assert "hand" in str(covered_face(image, hand))
    masked = image.copy()
    jaw = pose[23 + np.arange(3, 14), :2] * (640, 360)
    left, top = jaw.min(axis=0).astype(int)
    right, bottom = jaw.max(axis=0).astype(int)
    masked[top:bottom, left:right] = (60, 120, 200)
    assert "mouth" in str(covered_face(masked, pose))
    turned = pose.copy()
    turned[23:91] = 0
    assert "turned away" in str(covered_face(image, turned))
