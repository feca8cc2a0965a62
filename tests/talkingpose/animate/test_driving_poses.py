from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from talkingpose.animate.driving_poses import (
    DrivingPoses,
    missing_parts,
    read_keypoints,
    retargeted,
    same_pose,
)
from talkingpose.animate.driving_source import Span
from talkingpose.io.errors import UserError


def person(x: float = 0.5, shoulders: float = 0.2) -> np.ndarray:
    """Keypoints (133, 3) with shoulders, a face and a left hand."""
    keypoints = np.zeros((133, 3), np.float32)
    keypoints[[0, 5, 6]] = [(x, 0.3, 1), (x + shoulders / 2, 0.5, 1), (x - shoulders / 2, 0.5, 1)]
    angles = np.linspace(0, 6, 68)
    keypoints[23:91] = np.c_[x + 0.05 * np.cos(angles), 0.3 + 0.05 * np.sin(angles), np.ones(68)]
    keypoints[91:112] = np.c_[np.linspace(x, x + 0.1, 21), np.full(21, 0.8), np.ones(21)]
    return keypoints


def save(path: Path, **changes: object) -> Path:
    content = {"keypoints": np.stack([person()] * 4), "fps": 25.0, "width": 640, "height": 480}
    content |= changes
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


def test_a_file_of_poses_is_read_whole_or_in_part(tmp_path: Path) -> None:
    path = save(tmp_path / "p.npz", fps=30000 / 1001, keypoints=np.stack([person()] * 4).astype(np.float16))
    driving = read_keypoints(path)
    assert driving.fps == Fraction(30000, 1001) and driving.aspect == 640 / 480
    assert driving.keypoints.shape == (4, 133, 3) and driving.keypoints.dtype == np.float32
    assert len(read_keypoints(path, Span(max_frames=3)).keypoints) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fps": None}, "no fps: add"),
        ({"fps": 0.0}, "a rate and a size"),
        ({"fps": np.nan}, "invalid"),
        ({"width": 0}, "a rate and a size"),
        ({"keypoints": np.zeros((0, 133, 3), np.float32)}, "a rate and a size"),
        ({"keypoints": np.zeros((4, 133, 3), np.float32)}, "no person found in 4 frames"),
        ({"keypoints": np.zeros((4, 18, 3), np.float32)}, "shape"),
        ({"keypoints": np.zeros((4, 133, 3), np.int32)}, "int32"),
        ({"keypoints": np.array([None])}, "invalid"),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = save(tmp_path / "p.npz", **changes)
    with pytest.raises(UserError, match=message) as caught:
        read_keypoints(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_frame_of_another_shape_does_not_stretch_poses() -> None:
    driving = DrivingPoses(np.stack([person()]), Fraction(25), 1280, 720)
    framed = driving.in_frame(500, 500)
    for points in (driving, framed):
        places = points.keypoints[0, :, :2] * (points.aspect, 1)
        lengths = np.linalg.norm(places[5] - places[6]), np.linalg.norm(places[0] - places[91])
        if points is driving:
            expected = lengths
    np.testing.assert_allclose(lengths, expected, rtol=1e-6)
    assert framed.keypoints[0, 5, 0] - 0.5 == pytest.approx(0.1 * 1280 / 720)
    assert (framed.keypoints[0, 100] == framed.keypoints[0, 100]).all()
    assert not framed.keypoints[0, 7].any()  # absent points stay zeros


def test_retargeting_across_shapes_aligns_the_shoulders() -> None:
    driving = DrivingPoses(np.stack([person(0.4)] * 2), Fraction(25), 1280, 720)
    portrait = person(0.55, 0.3)
    moved = retargeted(driving, portrait, 512, 640)
    np.testing.assert_allclose(moved.keypoints[1, [5, 6], :2], portrait[[5, 6], :2], atol=1e-5)
    assert (moved.width, moved.height, moved.fps) == (512, 640, Fraction(25))


def test_missing_parts_are_counted() -> None:
    one_hand, unsure, nobody = person(), person(), np.zeros((133, 3), np.float32)
    unsure[23:91, 2] = 0.2
    assert missing_parts(one_hand) == {"shoulders": 0, "face": 0, "hands": 0}
    assert missing_parts(unsure) == {"shoulders": 0, "face": 1, "hands": 0}
    assert missing_parts(np.stack([one_hand, unsure, nobody, nobody])) == {
        "shoulders": 0.5, "face": 0.75, "hands": 0.5,
    }  # fmt: skip


def test_the_same_pose_is_distinguished_from_another() -> None:
    noise = np.random.default_rng(0).normal(0, 0.004, (133, 2))
    again = person()
    again[:, :2] += noise * (again[:, 2:] > 0)
    assert same_pose(person(), again)
    assert not same_pose(person(), person(0.55))
    assert not same_pose(person(), np.zeros((133, 3), np.float32))
