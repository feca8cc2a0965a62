"""The decoder policy: equal to OpenCV where nothing is tagged, true to the tags where something is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from talkingpose.media import DECODER_POLICY, MediaError, VideoReader
from tests.talkingpose.media.numbered_video import encode, number_in, numbered


def colourful(count: int, width: int, height: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (12, 12, 3), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(np.roll(image, 3 * k, 1)) for k in range(count)]


UNTAGGED = [
    ("v.mp4", "libx264", "yuv420p", 96, 64, {}),
    ("v.mp4", "libx264", "yuv420p", 98, 66, {"bf": "3"}),
    ("v.mp4", "libx264", "yuvj420p", 96, 64, {}),
    ("v.mp4", "libx264", "yuv422p", 96, 64, {}),
    ("v.mp4", "libx264", "yuv444p", 97, 65, {}),
    ("v.mp4", "libx264", "yuvj444p", 96, 64, {}),
    ("v.mp4", "libx264", "yuv420p10le", 96, 64, {}),
    ("v.mp4", "libx264", "yuv420p", 96, 64, {"flags": "+ilme+ildct", "x264-params": "interlaced=1:tff=1"}),
    ("v.mp4", "libx264rgb", "rgb24", 96, 64, {}),
    ("v.mp4", "mpeg4", "yuv420p", 512, 512, {}),
    ("v.avi", "mpeg4", "yuv420p", 98, 66, {}),
    ("v.avi", "mjpeg", "yuvj420p", 97, 65, {}),
    ("v.mpg", "mpeg2video", "yuv420p", 96, 64, {}),
    ("v.webm", "libvpx-vp9", "yuv420p", 97, 65, {}),
    ("v.webm", "libvpx", "yuv420p", 96, 64, {}),
    ("v.mkv", "ffv1", "gray", 96, 64, {}),
    ("v.mkv", "ffv1", "yuv420p", 96, 65, {}),
    ("v.mkv", "ffv1", "bgr0", 96, 64, {}),
]


@pytest.mark.parametrize("case", UNTAGGED, ids=lambda case: "-".join(map(str, case[:5])))
def test_untagged_colours_are_opencvs_bit_for_bit(tmp_path: Path, case: tuple[Any, ...]) -> None:
    name, codec, pixels, width, height, options = case
    images = colourful(6, width, height)
    path = encode(tmp_path / name, images, codec=codec, pixel_format=pixels, options=options)
    capture = cv2.VideoCapture(str(path))
    count = 0
    for frame in VideoReader(path):
        there, image = capture.read()
        assert there
        assert np.array_equal(frame.image, image[:, :, ::-1])
        count += 1
    assert not capture.read()[0]
    assert count == 6


KR_KB = {
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
}
SPACES = {"bt709": 1, "bt470bg": 5, "smpte170m": 6, "bt2020nc": 9, "unspecified": 2}


def rgb_of(y: int, cb: int, cr: int, matrix: str, full: bool) -> np.ndarray:
    """ITU-T H.273, equations 38 to 43, inverted."""
    kr, kb = KR_KB[matrix]
    luma, blue, red = (y / 255, (cb - 128) / 255, (cr - 128) / 255)
    if not full:
        luma, blue, red = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    return 255 * np.clip([r, g, b], 0, 1)


def flat_video(path: Path, yuv: tuple[int, int, int], space: int, colour_range: int, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        options = {"qp": "0"} if codec == "libx264" else {"lossless": "1"}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = space, colour_range
        frame = av.VideoFrame(64, 48, "yuv420p")
        for plane, value in zip(frame.planes, yuv, strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.colorspace, frame.color_range = space, colour_range
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", SPACES)
def test_tags_are_obeyed(tmp_path: Path, matrix: str, full: bool, codec: str) -> None:
    suffix = "mp4" if codec == "libx264" else "webm"
    for yuv in ((60, 90, 200), (150, 160, 100), (120, 110, 150)):
        path = flat_video(tmp_path / f"v.{suffix}", yuv, SPACES[matrix], 2 if full else 1, codec)
        reader = VideoReader(path)
        assert reader.info.color_matrix == matrix
        if full or matrix != "unspecified":  # x264 stores no limited range without a matrix
            assert reader.info.color_range == ("full" if full else "limited")
        named = "smpte170m" if matrix == "unspecified" else matrix
        image = next(iter(reader)).image
        assert np.abs(image - rgb_of(*yuv, named, full)).max() <= 2
        scaled = next(iter(VideoReader(path, size=(40, 30)))).image
        assert np.abs(scaled - rgb_of(*yuv, named, full)).max() <= 2


def test_a_matrix_that_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    path = flat_video(tmp_path / "v.mp4", (60, 90, 200), 8, 1, "libx264")
    with pytest.raises(MediaError, match="ycgco"):
        list(VideoReader(path))


def test_the_policy_names_its_rules() -> None:
    rules = DECODER_POLICY.describe()
    assert all(isinstance(value, str) and value for value in rules.values())
    assert "BICUBIC" in rules["convert"] and "ACCURATE_RND" in rules["scale"]
    assert "smpte170m" in rules["matrix"] and "limited" in rules["range"]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_display_matrix_is_applied(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    plain = encode(tmp_path / "plain.mp4", map(numbered, range(3)))
    turned = encode(tmp_path / "turned.mp4", map(numbered, range(3)), rotation=(degrees, mirrored))
    reader = VideoReader(turned)
    for upright, frame in zip(VideoReader(plain), reader, strict=True):
        # PyAV sets counter-clockwise turns and mirrors after them, as its documentation says.
        expected = np.rot90(upright.image, degrees // 90)
        assert np.array_equal(frame.image, expected[:, ::-1] if mirrored else expected)
        assert (reader.info.height, reader.info.width) == frame.image.shape[:2]
    small = next(iter(VideoReader(turned, size=(50, 30)))).image
    assert small.shape == (30, 50, 3)


def test_rotation_equals_opencvs(tmp_path: Path) -> None:
    for degrees in (90, 180, 270):
        path = encode(tmp_path / "v.mp4", colourful(2, 96, 64), rotation=(degrees, False))
        capture = cv2.VideoCapture(str(path))
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        reader = VideoReader(path)
        assert (reader.info.rotation, reader.info.mirrored) == (360 - degrees, False)
        for frame in reader:
            assert np.array_equal(frame.image, capture.read()[1][:, :, ::-1])


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(4, 3), (128, 64)),
        (Fraction(3, 4), (96, 85)),
        (Fraction(64, 45), (137, 64)),
        (Fraction(1), (96, 64)),
    ],
)
def test_pixels_become_square_without_loss(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = encode(tmp_path / "v.mp4", map(numbered, range(5)), context={"sample_aspect_ratio": aspect})
    reader = VideoReader(path)
    assert reader.info.sample_aspect_ratio == aspect
    assert (reader.info.width, reader.info.height) == size
    frames = list(reader)
    assert {f.image.shape for f in frames} == {(size[1], size[0], 3)}
    assert [number_in(f.image) for f in frames] == list(range(5))


def test_aspect_is_applied_before_the_turn(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "v.mp4",
        map(numbered, range(2)),
        context={"sample_aspect_ratio": Fraction(4, 3)},
        rotation=(90, False),
    )
    reader = VideoReader(path)
    assert (reader.info.width, reader.info.height) == (64, 128)
    assert next(iter(reader)).image.shape == (128, 64, 3)
