from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkingpose.pose import BODY, FACE, FEET, LEFT_HAND, RIGHT_HAND, PoseError, draw_pose

PARITY = np.load(Path(__file__).parents[2] / "data" / "parity" / "dwpose_render.npz")
SIZES = sorted(
    tuple(map(int, name.split("_")[1].split("x"))) for name in PARITY if name.startswith("render_")
)


def test_the_parity_file_holds_three_sizes():
    assert SIZES == [(256, 256), (384, 640), (512, 512)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_equal_to_dwpose_in_every_pixel(height, width):
    for keypoints, expected in zip(PARITY["keypoints"], PARITY[f"render_{height}x{width}"], strict=True):
        picture = draw_pose(keypoints, height, width)
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, expected)


def test_drawing_leaves_the_keypoints_alone():
    keypoints = PARITY["keypoints"][0].copy()
    draw_pose(keypoints, 256, 256)
    np.testing.assert_array_equal(keypoints, PARITY["keypoints"][0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_less_precise_keypoints_draw_nearly_the_same(dtype):
    keypoints = PARITY["keypoints"][0]
    changed = draw_pose(keypoints.astype(dtype), 512, 512) != draw_pose(keypoints, 512, 512)
    assert changed.any(axis=-1).mean() < 0.02


def one(point: int, x: float, y: float, confidence: float) -> np.ndarray:
    keypoints = np.zeros((133, 3))
    keypoints[point] = x, y, confidence
    return keypoints


def test_nobody_is_black():
    assert not draw_pose(np.zeros((133, 3)), 64, 96).any()


@pytest.mark.parametrize(
    ("part", "at_threshold", "above"),
    [
        (BODY, False, True),
        (FEET, False, False),
        (FACE, True, True),
        (LEFT_HAND, True, True),
        (RIGHT_HAND, True, True),
    ],
)
def test_threshold_is_open_for_the_body_and_closed_for_face_and_hands(part, at_threshold, above):
    for confidence, drawn in ((0.29, False), (0.3, at_threshold), (0.31, above)):
        picture = draw_pose(one(part.start, 0.5, 0.5, confidence), 64, 64)
        assert picture.any() == drawn


def test_neck_needs_both_shoulders():
    both = one(5, 0.75, 0.5, 0.9)
    both[6] = 0.25, 0.5, 0.9
    assert draw_pose(both, 64, 64)[32, 32].any()
    both[6, 2] = 0.3
    assert not draw_pose(both, 64, 64)[32, 32].any()


def test_hand_points_on_the_first_row_or_column_are_not_drawn():
    assert not draw_pose(one(LEFT_HAND.start, 0.5, 0.01, 1.0), 64, 64).any()
    assert not draw_pose(one(FACE.start, 0.01, 0.5, 1.0), 64, 64).any()
    assert draw_pose(one(FACE.start, 0.02, 0.5, 1.0), 64, 64).any()


def test_colours_are_rgb():
    assert draw_pose(one(0, 0.5, 0.5, 1.0), 64, 64)[32, 32].tolist() == [255, 0, 0]
    assert draw_pose(one(LEFT_HAND.start, 0.5, 0.5, 1.0), 64, 64)[32, 32].tolist() == [0, 0, 255]
    assert draw_pose(one(FACE.start, 0.5, 0.5, 1.0), 64, 64)[32, 32].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("keypoints", "size", "message"),
    [
        (np.zeros((2, 133, 3)), (64, 64), "give one frame"),
        (np.full((133, 3), np.nan), (64, 64), "not finite"),
        (one(0, 320.0, 240.0, 1.0), (64, 64), "normalise"),
        (np.zeros((133, 3)), (0, 64), "64x0"),
        (np.zeros((133, 3)), (64, 100_000), "100000x64"),
    ],
)
def test_what_cannot_be_drawn_is_refused(keypoints, size, message):
    with pytest.raises(PoseError, match=message):
        draw_pose(keypoints, *size)
