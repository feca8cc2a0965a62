"""Detectors on pixels: sharpness, letterbox, burnt-in text, person motion."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from curation.detect.contrast import distinguishable_levels
from curation.detect.letterbox import inside_letterbox
from curation.detect.measurements import WHOLE, Box
from curation.detect.person_motion import PersonMotion
from curation.detect.sharpness import sharpness
from curation.detect.text_overlay import TextFinder


def texture(height: int, width: int, seed: int = 0, scale: int = 8) -> np.ndarray:
    """Texture like skin and cloth: blotches and grain."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (height // scale + 2, width // scale + 2)).astype(np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    return np.clip(smooth + rng.normal(0, 3, (height, width)), 0, 255).astype(np.uint8)


def test_sharpness_does_not_depend_on_size_contrast_or_light():
    patch = texture(128, 128, scale=8)
    sharp = sharpness(patch)
    for size in (256, 512):
        assert sharpness(cv2.resize(patch, (size, size), interpolation=cv2.INTER_CUBIC)) == pytest.approx(
            sharp, rel=0.25
        )
    assert sharpness((patch * 0.3).astype(np.uint8)) == pytest.approx(sharp, rel=0.1)
    assert sharpness((patch // 2 + 120).astype(np.uint8)) == pytest.approx(sharp, rel=0.1)


def test_sharpness_decreases_with_blur():
    patch = texture(128, 128)
    values = [sharpness(cv2.GaussianBlur(patch, (0, 0), sigma)) for sigma in (0.5, 2, 5, 10)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 5 * values[2] > 10 * values[3]


def test_flat_and_empty_parts_have_no_sharpness():
    assert sharpness(np.full((50, 50), 90, np.uint8)) == 0
    assert sharpness(np.zeros((0, 12), np.uint8)) == 0
    assert sharpness(np.zeros((1, 1), np.uint8)) == 0


@pytest.mark.parametrize("level", [0, 16, 128, 255])
@pytest.mark.parametrize(
    ("top", "bottom", "left", "right"), [(60, 60, 0, 0), (0, 0, 200, 180), (40, 50, 100, 90), (0, 0, 0, 0)]
)
def test_letterbox(level, top, bottom, left, right):
    picture = texture(360, 640)
    rng = np.random.default_rng(0)
    framed = np.clip(level + rng.integers(-2, 3, (360, 640)), 0, 255).astype(np.uint8)
    framed[top : 360 - bottom, left : 640 - right] = picture[top : 360 - bottom, left : 640 - right]
    found = inside_letterbox(framed)
    wanted = Box(left / 640, top / 360, 1 - right / 640, 1 - bottom / 360)
    assert np.abs(np.array(found) - wanted).max() < 0.02


def test_a_picture_of_one_colour_has_no_letterbox():
    assert inside_letterbox(np.full((90, 160), 16, np.uint8)) == WHOLE
    assert inside_letterbox(np.full((1, 1), 16, np.uint8)) == WHOLE


def moving(seed: int) -> np.ndarray:
    return texture(360, 640, seed, scale=24)


def written(picture: np.ndarray, text: str, place: tuple[int, int], dark: bool = False) -> np.ndarray:
    picture = picture.copy()
    if dark:
        cv2.rectangle(picture, (place[0] - 6, place[1] - 26), (place[0] + 400, place[1] + 10), 235, -1)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 20 if dark else 250, 2, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("dark", [False, True])
def test_a_caption_is_found_where_it_is(dark):
    find = TextFinder()
    assert find(written(moving(0), "and then he said to her", (150, 320), dark)) == ()
    lines = find(written(moving(1), "and then he said to her", (150, 320), dark))
    assert len(lines) >= 5
    assert abs(min(line.x0 for line in lines) - 150 / 640) < 0.15
    assert 0.6 < max(line.x1 for line in lines) < 0.85
    assert all(0.8 < line.y0 < line.y1 < 0.95 for line in lines)
    assert sum(line.area for line in lines) > 0.005


def set_in_type(picture: np.ndarray, text: str, height: int, rim: int, turned: float = 0.0) -> np.ndarray:
    """White letters with a black rim in the lower third; `turned` in degrees."""
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf"), height)
    layers = [Image.new("L", (640, 360)) for _ in range(2)]
    for layer, width in zip(layers, (rim, 0), strict=True):
        ImageDraw.Draw(layer).text((320, 260), text, 255, font, anchor="mm", stroke_width=width)
    rims, letters = (np.asarray(layer.rotate(turned), float) / 255 for layer in layers)
    return (picture * (1 - rims) * (1 - letters) + 250 * letters).astype(np.uint8)


@pytest.mark.parametrize("height", [16, 28])
@pytest.mark.parametrize("rim", [0, 1, 3])
@pytest.mark.parametrize("text", ["quickly typed paragraphs", "DEBT RISES AGAIN", "Dr. Jane Happyday"])
def test_captions_are_found_with_and_without_a_rim(height, rim, text):
    find = TextFinder()
    for seed in range(2):
        letters = find(set_in_type(moving(seed), text, height, rim))
    seen = np.zeros(640, bool)
    for letter in letters:
        seen[max(round(letter.x0 * 640), 0) : round(letter.x1 * 640)] = True
        assert letter.y0 * 360 > 260 - height and letter.y1 * 360 < 260 + height
    columns = np.flatnonzero(set_in_type(np.zeros((360, 640), np.uint8), text, height, 0).any(axis=0))
    assert seen[columns].mean() > 0.8


def test_slanted_words_as_on_clothes_are_no_caption():
    for turned in (25, 40, -35):
        find = TextFinder()
        for seed in range(2):
            letters = find(set_in_type(moving(seed), "NOT TODAY NOT TODAY", 16, 0, turned))
        assert letters == ()


def test_a_pattern_does_not_cover_a_hand_in_front_of_it():
    find = TextFinder()
    hand = Box(0.45, 0.82, 0.55, 0.95)
    for seed in range(2):
        picture = written(moving(0), "A H N K E W A H N K E W A H N", (150, 320))
        picture[290:345, 280:360] = texture(55, 80, 5 + seed)
        letters = find(picture)
    assert letters and not [one for one in letters if one.overlap(hand) > 0.2 * hand.area]


def test_moving_pictures_and_moving_text_give_no_text():
    find = TextFinder()
    for seed in range(3):
        assert find(moving(seed)) == ()
    find = TextFinder()
    assert find(written(moving(0), "scrolling by", (100, 100))) == ()
    assert find(written(moving(1), "scrolling by", (160, 180))) == ()


def camera(picture: np.ndarray, zoom: float, right: float, seed: int = 0) -> np.ndarray:
    """Still picture seen by a moving camera, with noise."""
    height, width = picture.shape
    matrix = np.array([[zoom, 0, right - width * (zoom - 1) / 2], [0, zoom, -height * (zoom - 1) / 2]])
    seen = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    noise = np.random.default_rng(seed).integers(-2, 3, seen.shape)
    return np.clip(seen.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("zoom", "right"), [(1.0, 0.0), (1.0, 6.0), (1.05, 0.0), (1.03, -4.0)])
def test_a_camera_move_over_a_still_is_no_person_motion(zoom, right):
    still = texture(144, 256, scale=12)
    motion, person = PersonMotion(), Box(0.3, 0.1, 0.7, 1.0)
    assert motion(camera(still, 1.0, 0.0), person) is None
    left = motion(camera(still, zoom, right, 1), person)
    assert left is not None and left < 0.1


def test_a_moving_hand_under_a_moving_camera_is_person_motion():
    still = texture(144, 256, scale=12)
    motion, person = PersonMotion(), Box(0.3, 0.1, 0.7, 1.0)
    for number, x in enumerate((90, 120)):
        picture = still.copy()
        cv2.circle(picture, (x, 100), 12, 230, -1)
        found = motion(camera(picture, 1 + 0.03 * number, 3.0 * number, number), person)
    assert found is not None and found > 0.3
    assert motion(still, None) is None


def test_distinguishable_levels_depend_on_contrast_and_noise_and_not_on_brightness():
    ramp = np.tile(np.linspace(0, 100, 64), (64, 1))
    dark, light = (distinguishable_levels((ramp + base).astype(np.uint8)) for base in (10, 140))
    assert dark == pytest.approx(90, abs=2) and light == pytest.approx(dark, abs=1)
    noise = np.random.default_rng(0).normal(0, 5, ramp.shape)
    noisy = distinguishable_levels((ramp + 60 + noise).astype(np.uint8))
    assert noisy == pytest.approx(90 / 5, rel=0.15)
    assert distinguishable_levels((ramp * 0.3).astype(np.uint8)) < 30
    assert distinguishable_levels(np.zeros((0, 5), np.uint8)) == 0
