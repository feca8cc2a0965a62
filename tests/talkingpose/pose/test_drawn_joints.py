"""Joints recovered from pose pictures; agreement of mediapipe with DWPose's drawings."""

from __future__ import annotations

import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from drawn_joints import NAMES, distances, recover

from talkingpose.media import VideoReader, VideoWriter
from talkingpose.pose import HolisticEstimator, draw_pose

PARITY = Path(__file__).parents[2] / "data" / "parity" / "dwpose_render.npz"
FOOTAGE = Path(__file__).parents[4] / "shared" / "footage"


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, list[np.ndarray]]:
    """Keypoints and their drawings after a lossy encoding."""
    keypoints = np.load(PARITY)["keypoints"].astype(np.float32)
    path = tmp_path_factory.mktemp("poses") / "poses.mp4"
    with VideoWriter(path, fps=Fraction(25), crf=20) as writer:
        for points in keypoints:
            writer.write(draw_pose(points, 512, 512))
    return keypoints, [frame.image for frame in VideoReader(path)]


def test_joints_are_recovered_to_the_pixel(drawings):
    keypoints, pictures = drawings
    count = 0
    for points, picture in zip(keypoints, pictures, strict=True):
        for coco, place in recover(picture).items():
            pixel = points[[5, 6] if coco is None else [coco], :2].mean(axis=0) * 512
            assert np.hypot(*(pixel - 0.5 - place)) < 1.5, NAMES[coco]
            count += 1
    assert count > 3 * len(keypoints)


def test_distances_measure_a_shift(drawings):
    keypoints, pictures = drawings[0].copy(), drawings[1]
    joints = [recover(picture) for picture in pictures]
    own = np.concatenate(list(distances(keypoints, joints, 512, 512).values()))
    assert np.median(own) < 1
    shoulder = 100 / np.median(np.hypot(*((keypoints[:, 5] - keypoints[:, 6])[:, :2] * 512).T))
    keypoints[..., 0] += 10 / 512
    moved = np.concatenate(list(distances(keypoints, joints, 512, 512).values()))
    assert np.median(moved) == pytest.approx(10 * shoulder, rel=0.15)


@pytest.mark.skipif(not FOOTAGE.is_dir(), reason="needs ../shared/footage, which is not here")
def test_mediapipe_agrees_with_dwpose():
    frames, drawn = (
        [frame.image for frame in islice(VideoReader(FOOTAGE / folder / "stage_talk_1.mp4"), 30)]
        for folder in ("upper_body_hands", "pose_renders")
    )
    with HolisticEstimator() as estimator:
        keypoints = np.stack([estimator(frame) for frame in frames])
    found = distances(keypoints, [recover(picture) for picture in drawn], 512, 512)
    assert {5, 6, 7, 8} <= set(found)
    assert np.median(np.concatenate(list(found.values()))) < 8  # % of the shoulder width
