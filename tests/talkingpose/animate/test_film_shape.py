from __future__ import annotations

import numpy as np
import pytest

from talkingpose.animate.film_shape import (
    FilmSizeError,
    ModelSizes,
    check_size,
    film_shape,
    letterbox_to_aspect,
    model_sizes,
    parse_size,
)

SIZES = ModelSizes(512, 8, 256, 1024)


@pytest.mark.parametrize(
    ("aspect", "size", "inner"),
    [
        (1.0, (512, 512), (512, 512)),
        (0.75, (512, 512), (384, 512)),
        (16 / 9, (512, 512), (512, 288)),
        (1.0, (640, 360), (360, 360)),
        (4.0, (512, 512), (512, 128)),
    ],
)
def test_the_portrait_keeps_its_aspect(aspect: float, size: tuple[int, int], inner: tuple[int, int]) -> None:
    shape = film_shape(aspect, SIZES, size, (0, 0))
    assert (shape.width, shape.height) == size
    assert (shape.inner_width, shape.inner_height) == inner
    picture = np.full((shape.inner_height, shape.inner_width, 3), 9, np.uint8)
    framed = shape.framed(picture)
    assert framed.shape == (size[1], size[0], 3)
    assert (framed > 0).sum() == picture.size


def test_without_a_size_the_film_has_the_native_one() -> None:
    shape = film_shape(0.5, SIZES, None, (256, 512))
    assert (shape.width, shape.height) == (256, 512) and not shape.has_bars


@pytest.mark.parametrize(
    ("size", "nearest"),
    [((500, 500), "496x496"), ((2048, 1024), "1024x512"), ((64, 64), "256x256"), ((513, 300), "512x304")],
)
def test_a_size_that_is_not_allowed_names_the_nearest(size: tuple[int, int], nearest: str) -> None:
    with pytest.raises(FilmSizeError, match=f"nearest is {nearest}"):
        check_size(size, SIZES)
    width, height = map(int, nearest.split("x"))
    check_size((width, height), SIZES)


@pytest.mark.parametrize("text", ["512", "x512", "0x512", "-8x8", "512x512x3", "ab", "1e3x8", "", "999999x8"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(FilmSizeError, match="512x512"):
        parse_size(text)


def test_sizes_are_read() -> None:
    assert parse_size("640X360") == (640, 360)
    assert model_sizes("tiny") == ModelSizes(128, 8, 64, 256)
    assert model_sizes("warp").unit == 2


def test_bars_around_a_portrait() -> None:
    portrait = np.full((100, 50, 3), 7, np.uint8)
    for aspect in (1.0, 0.25):
        boxed = letterbox_to_aspect(portrait, aspect)
        assert boxed.shape[1] / boxed.shape[0] == aspect and (boxed > 0).sum() == portrait.size
