"""Pose pictures of other projects: colours, joints, what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from talkingpose.pose import BODY, FACE, LEFT_HAND, RIGHT_HAND, PoseError
from talkingpose.pose.overlay import pose_image
from talkingpose.pose.styles import POSE_STYLES, draw_style

HEIGHT, WIDTH = 512, 512


def person(confidence: float = 1.0) -> np.ndarray:
    """Every point in a place of its own, on a grid, so that no other covers it."""
    points = np.zeros((133, 3), np.float32)
    body = {
        0: (0.5, 0.2), 1: (0.55, 0.15), 2: (0.45, 0.15), 3: (0.6, 0.2), 4: (0.4, 0.2), 5: (0.7, 0.4),
        6: (0.3, 0.4), 7: (0.8, 0.6), 8: (0.2, 0.6), 9: (0.85, 0.8), 10: (0.15, 0.8), 11: (0.6, 0.8),
        12: (0.4, 0.8), 13: (0.62, 0.9), 14: (0.38, 0.9), 15: (0.62, 0.97), 16: (0.38, 0.97),
    }  # fmt: skip
    for index, place in body.items():
        points[index, :2] = place
    for index in range(17, 23):
        points[index, :2] = (0.5 + 0.03 * (index - 17), 0.99)
    for index in range(68):
        points[23 + index, :2] = (0.02 + 0.014 * index, 0.03)
    for index in range(21):
        points[91 + index, :2] = (0.9, 0.1 + 0.03 * index)
        points[112 + index, :2] = (0.1, 0.1 + 0.03 * index)
    points[:, 2] = confidence
    return points


def at(picture: np.ndarray, x: float, y: float) -> tuple[int, ...]:
    return tuple(picture[int(y * HEIGHT), int(x * WIDTH)].tolist())


def test_openpose_has_25_joints_in_its_colours() -> None:
    picture = draw_style(person(), HEIGHT, WIDTH, "openpose")
    expected = {
        (0.5, 0.2): (255, 0, 85),  # nose
        (0.5, 0.4): (255, 0, 0),  # neck, between the shoulders
        (0.3, 0.4): (255, 85, 0),  # right shoulder
        (0.15, 0.8): (255, 255, 0),  # right wrist
        (0.85, 0.8): (0, 255, 0),  # left wrist
        (0.5, 0.8): (255, 0, 0),  # middle of the hips
        (0.4, 0.8): (0, 255, 85),  # right hip
        (0.62, 0.97): (0, 0, 255),  # left ankle
        (0.55, 0.15): (170, 0, 255),  # left eye
        (0.4, 0.2): (255, 0, 255),  # right ear
        (0.5, 0.99): (0, 0, 255),  # left big toe
        (0.59, 0.99): (0, 255, 255),  # right big toe
    }
    assert {place: at(picture, *place) for place in expected} == expected
    assert at(picture, 0.02 + 0.014 * 30, 0.03) == (255, 255, 255)
    assert at(picture, 0.9, 0.1 + 0.03 * 4) == (255, 0, 0)  # tip of the thumb
    assert at(picture, 0.1, 0.1 + 0.03 * 20) == (255, 0, 255)  # tip of the little finger


def test_openpose18_is_the_body_alone() -> None:
    body = person()
    body[17:] = 0
    assert np.array_equal(draw_style(person(), HEIGHT, WIDTH, "openpose18"), pose_image(body, HEIGHT, WIDTH))
    assert np.array_equal(draw_style(person(), 96, 80, "dwpose"), pose_image(person(), 96, 80))


def test_mimicmotion_fades_with_confidence_and_exchanges_red_and_blue() -> None:
    """On a picture of the size at which MimicMotion draws."""
    full = draw_style(person(), 2160, 2160, "mimicmotion")
    weak = draw_style(person(0.5), 2160, 2160, "mimicmotion")
    places = {(0.5, 0.2): (0, 0, 255), (0.3, 0.4): (0, 170, 255), (0.9, 0.1): (255, 0, 0)}
    places[(0.02 + 0.014 * 30, 0.03)] = (255, 255, 255)
    for (x, y), colour in places.items():
        pixel = full[int(y * 2160), int(x * 2160)].tolist()
        assert tuple(pixel) == colour, (x, y)
        assert weak[int(y * 2160), int(x * 2160)].tolist() == [channel // 2 for channel in pixel]
    limb = full[int(0.7 * 2160), int(0.175 * 2160)]  # right forearm, at 0.6 of its colour
    assert limb.tolist() == [0, 153, 153]


@pytest.mark.parametrize("style", POSE_STYLES)
def test_absent_points_are_not_drawn(style: str) -> None:
    assert not draw_style(np.zeros((133, 3), np.float32), 96, 64, style).any()
    for part in (FACE, LEFT_HAND, RIGHT_HAND):
        alone = np.zeros((133, 3), np.float32)
        alone[part] = person()[part]
        assert draw_style(alone, 576, 576, style).any() == (style != "openpose18")
    half = person()
    half[[5, 11]] = 0
    assert draw_style(half, 96, 64, style).shape == (96, 64, 3)
    only = np.zeros((133, 3), np.float32)
    only[BODY] = person()[BODY]
    assert draw_style(only, 400, 576, style).any()


def test_bad_input_is_one_line() -> None:
    for style in POSE_STYLES:
        with pytest.raises(PoseError):
            draw_style(np.zeros((5, 3), np.float32), 96, 64, style)
        with pytest.raises(PoseError):
            draw_style(person() * 400, 96, 64, style)
    with pytest.raises(PoseError, match="stick"):
        draw_style(person(), 96, 64, "stick")
