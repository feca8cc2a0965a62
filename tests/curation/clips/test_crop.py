"""Crops contain the person, lie in the source and never enlarge."""

from __future__ import annotations

import numpy as np
import pytest
from fake_detectors import person
from hypothesis import given
from hypothesis import strategies as st

from curation.clips.crop import Crop, boxes_in, choose_crop, keypoints_in, person_boxes
from curation.settings import CropSettings as Settings

SQUARE = Settings(mode="square", margin=0.1)


def boxes(*corners):
    return np.array(corners, np.float32)


def test_a_square_around_the_person_with_margin():
    crop = choose_crop(boxes([0.4, 0.2, 0.6, 0.8], [0.45, 0.2, 0.65, 0.8]), 1920, 1080, SQUARE)
    assert crop.width == crop.height == 784  # 0.6 * 1080 * 1.2 = 777.6, rounded up to a multiple of 8
    assert (crop.x0 + crop.x1) / 2 == pytest.approx(0.525 * 1920, abs=1)


def test_a_square_source_that_the_person_nearly_fills_is_kept_whole():
    assert choose_crop(boxes([0.1, 0.05, 0.8, 1]), 512, 512, SQUARE) == (0, 0, 512, 512)


def test_upright_crops_are_nine_to_sixteen_and_as_high_as_the_person_needs():
    upright = Settings(mode="9:16", margin=0.1)
    crop = choose_crop(boxes([0.45, 0.2, 0.55, 0.8]), 1920, 1080, upright)
    assert (crop.width, crop.height) == (440, 784)  # 0.6 * 1080 * 1.2 = 777.6 high, 437.4 wide
    # No room for the full margin; the person's width decides.
    crop = choose_crop(boxes([0.3, 0.2, 0.6, 0.8]), 1280, 720, upright)
    assert (crop.width, crop.height) == (408, 720)
    assert choose_crop(boxes([0.1, 0.05, 0.9, 1]), 1080, 1920, upright) == (0, 0, 1080, 1920)


def test_spread_arms_are_not_cut_off():
    crop = choose_crop(boxes([0.1, 0.1, 0.9, 1]), 1280, 720, SQUARE)
    assert crop.x0 <= 128 and crop.x1 >= 1152 and crop.height == 720


def test_without_cropping_or_a_person_the_whole_source_is_kept():
    assert choose_crop(boxes([0.4, 0.2, 0.6, 0.8]), 854, 480, Settings(mode="none", margin=0)) == (
        3,
        0,
        851,
        480,
    )
    assert choose_crop(np.zeros((4, 4), np.float32), 640, 480, SQUARE) == (0, 0, 640, 480)


unit = st.floats(0, 1, width=32)


@given(
    st.lists(st.tuples(unit, unit, unit, unit), min_size=1, max_size=5),
    st.integers(32, 2000),
    st.integers(32, 2000),
    st.floats(0, 1),
    st.sampled_from(["square", "9:16", "none"]),
)
def test_any_crop_lies_in_the_source_and_contains_the_person(corners, width, height, margin, mode):
    made = boxes(*((min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners))
    crop = choose_crop(made, width, height, Settings(mode=mode, margin=margin))
    assert 0 <= crop.x0 < crop.x1 <= width and 0 <= crop.y0 < crop.y1 <= height
    assert crop.width % 8 == 0 and crop.height % 8 == 0
    present = made[made.any(axis=1)]
    if len(present):
        # Up to 8 pixels may be lost at the edges of the source.
        slack = 8
        assert (
            crop.x0 <= present[:, 0].min() * width + slack and crop.x1 >= present[:, 2].max() * width - slack
        )
        assert (
            crop.y0 <= present[:, 1].min() * height + slack
            and crop.y1 >= present[:, 3].max() * height - slack
        )


def test_keypoints_and_boxes_follow_the_crop():
    keypoints = np.stack([person(), np.zeros((133, 3), np.float32)])
    crop = Crop(100, 20, 300, 220)
    moved = keypoints_in(crop, keypoints, 400, 240)
    assert moved[0, 0] == pytest.approx(((0.5 * 400 - 100) / 200, (0.3 * 240 - 20) / 200, 1), abs=1e-6)
    assert not moved[1].any()
    edge = keypoints.copy()
    edge[0, 0] = (0.01, 0.5, 0.9)
    assert not keypoints_in(crop, edge, 400, 240)[0, 0].any()
    box = boxes_in(crop, person_boxes(keypoints), 400, 240)
    assert ((box >= 0) & (box <= 1)).all() and box[0].any() and not box[1].any()


def test_a_box_reaches_from_the_lowest_point_to_the_top_of_the_head():
    x0, y0, x1, y1 = person_boxes(person()[None])[0]
    assert (x0, x1) == pytest.approx((0.35, 0.65))
    assert y0 == pytest.approx(0.1, abs=1e-3) and y1 == pytest.approx(0.8)
