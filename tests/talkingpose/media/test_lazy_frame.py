"""Frames that are converted only as they are looked at: the same pixels at any size; key frames alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from talkingpose.media import VideoReader, read_index
from tests.talkingpose.media.numbered_video import encode, number_in, numbered


def test_lazy_frames_equal_the_reader_at_every_size(talk: Path) -> None:
    reader = VideoReader(talk)
    for size in (None, (48, 32), (31, 64)):
        wanted = list(VideoReader(talk, size=size))
        for frame, look in zip(wanted, reader.lazy_frames(), strict=True):
            assert (look.index, look.pts, look.time) == (frame.index, frame.pts, frame.time)
            assert np.array_equal(look.image(size), frame.image)
    assert reader.report.num_frames == 60


def test_downscaled_is_the_mean_over_areas(talk: Path) -> None:
    for look in VideoReader(talk).lazy_frames():
        means = look.image().reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
        assert np.abs(look.downscaled((24, 16)) - means).mean() < 6  # chroma sits beside the luma
        assert number_in(look.downscaled((48, 32))) == look.index
        assert np.array_equal(look.downscaled((96, 64)), look.image())
    averaged = [frame.image for frame in VideoReader(talk, size=(24, 16), downscaled=True)]
    assert all(
        map(np.array_equal, averaged, (look.downscaled((24, 16)) for look in VideoReader(talk).lazy_frames()))
    )


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv444p10le"])
@pytest.mark.parametrize("rotation", [None, (90, False), (180, True)])
def test_luma_is_the_brightness_of_the_upright_picture(tmp_path: Path, pixel_format, rotation) -> None:
    grey = [np.repeat(numbered(n)[:, :, :1], 3, axis=2) for n in range(3)]
    options = {"qp": "0"} if pixel_format != "yuv444p10le" else {"crf": "1"}
    path = encode(tmp_path / "a.mp4", grey, pixel_format=pixel_format, rotation=rotation, options=options)
    reader = VideoReader(path)
    for look in reader.lazy_frames():
        image = look.image()
        luma = look.luma()
        assert luma.shape == (reader.info.height, reader.info.width)
        assert np.abs(luma - image.mean(axis=2)).max() <= 4
        assert np.array_equal(look.luma((10, 20, 30, 41)), luma[20:41, 10:30])
        assert np.array_equal(look.luma((-5, -5, 8, 9)), luma[:9, :8])


def test_luma_has_square_pixels(tmp_path: Path) -> None:
    aspect = {"sample_aspect_ratio": Fraction(4, 3)}
    path = encode(tmp_path / "a.mp4", map(numbered, range(2)), context=aspect)
    reader = VideoReader(path)
    assert reader.info.width == 128
    assert all(look.luma().shape == (64, 128) for look in reader.lazy_frames())


def test_key_frames_alone(talk: Path) -> None:
    found = [(number_in(look.image()), look.time) for look in VideoReader(talk).key_frames()]
    assert [number for number, _ in found] == [0, 12, 24, 36, 48]
    assert all(time == Fraction(number, 25) for number, time in found)


def test_the_index_knows_length_and_key_frames_without_the_header(talk: Path, tmp_path: Path) -> None:
    index = read_index(talk)
    assert (index.num_packets, index.key_times) == (60, (0.0, 0.48, 0.96, 1.44, 1.92))
    assert index.duration_s == pytest.approx(2.4) and index.key_frame_gap_s == pytest.approx(0.48)
    lying = bytearray(talk.read_bytes())
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        place = lying.index(box) + {b"mvhd": 20, b"tkhd": 24, b"mdhd": 20}[box]
        lying[place : place + 4] = (10**7).to_bytes(4, "big")
    path = tmp_path / "lying.mp4"
    path.write_bytes(lying)
    assert read_index(path).duration_s == read_index(str(path)).duration_s == pytest.approx(2.4)
