from __future__ import annotations

import io
import os
import re
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from talkingpose.media import MediaError, read_image, resize_image


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_path_and_bytes_give_the_same(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(png(Image.fromarray(picture)))
    for source in (path, str(path), path.read_bytes()):
        image = read_image(source)
        assert image.dtype == np.uint8 and image.flags.writeable
        assert np.array_equal(image, picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, picture: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, -1),
        7: np.rot90(picture.transpose(1, 0, 2), 2),
        8: np.rot90(picture, 1),
    }
    assert np.array_equal(read_image(png(Image.fromarray(picture), exif=exif)), upright[orientation])


def test_transparent_pixels_become_white(picture: np.ndarray) -> None:
    alpha = np.zeros((20, 30, 1), np.uint8)
    alpha[:10] = 255
    image = read_image(png(Image.fromarray(np.concatenate([picture, alpha], 2))))
    assert np.array_equal(image[:10], picture[:10])
    assert (image[10:] == 255).all()


def test_grey_palette_and_16_bits_become_rgb(picture: np.ndarray) -> None:
    grey = Image.fromarray(picture[:, :, 0])
    assert np.array_equal(read_image(png(grey)), np.repeat(picture[:, :, :1], 3, 2))
    palette = grey.convert("P")
    assert np.array_equal(read_image(png(palette)), np.array(palette.convert("RGB")))
    wide = Image.fromarray(picture[:, :, 0].astype(np.uint16) << 8)
    assert np.array_equal(read_image(png(wide)), np.repeat(picture[:, :, :1], 3, 2))


def test_bad_pictures_give_one_line_that_names_the_file(tmp_path: Path, picture: np.ndarray) -> None:
    whole = png(Image.fromarray(picture))
    contents = {"empty.png": b"", "text.png": b"no picture", "cut.png": whole[: len(whole) // 2]}
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(MediaError, match=re.escape(str(path))) as caught:
            read_image(path)
        assert "\n" not in str(caught.value)
        with pytest.raises(MediaError, match=r"^face: "):
            read_image(content, name="face")
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(MediaError, match=re.escape(str(path))):
            read_image(path)


def one_colour_png(width: int, height: int) -> bytes:
    """A valid 1-bit PNG of one colour."""
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", rows),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize("size", [(13_000, 13_000), (20_000, 20_000)])
def test_too_many_pixels_are_refused_before_decoding(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(PngImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(MediaError):
        read_image(one_colour_png(*size))
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.png"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(MediaError, match="regular file"):
        read_image(path)


def test_formats_that_start_programs_are_refused() -> None:
    with pytest.raises(MediaError):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")


def test_resize_uses_the_named_filter(picture: np.ndarray) -> None:
    lanczos = np.array(Image.fromarray(picture).resize((11, 7), Image.Resampling.LANCZOS))
    bicubic = np.array(Image.fromarray(picture).resize((11, 7), Image.Resampling.BICUBIC))
    assert np.array_equal(resize_image(picture, (11, 7)), lanczos)
    assert np.array_equal(resize_image(picture, (11, 7), "bicubic"), bicubic)
    area = cv2.resize(picture, (10, 10), interpolation=cv2.INTER_AREA)
    assert np.array_equal(resize_image(picture, (10, 10), "area"), area)
    assert resize_image(picture[:, ::-1, 0], (5, 4), "area").shape == (4, 5)


@pytest.mark.parametrize(
    ("image", "size", "kind"),
    [
        (np.zeros((4, 4, 3), np.float32), (2, 2), "lanczos"),
        (np.zeros((4, 0, 3), np.uint8), (2, 2), "area"),
        (np.zeros((4, 4, 3), np.uint8), (0, 2), "area"),
        (np.zeros((4, 4, 3), np.uint8), (2, 2), "nearest"),
    ],
)
def test_resize_refuses_invalid_input(image: np.ndarray, size: tuple[int, int], kind: str) -> None:
    with pytest.raises(MediaError):
        resize_image(image, size, kind)


def test_heic_is_read_or_its_package_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = np.full((32, 48, 3), (200, 120, 60), np.uint8)
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(picture)).save(buffer)
    read = read_image(buffer.getvalue())
    assert read.shape == picture.shape and np.abs(read.astype(int) - picture).mean() < 8
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MediaError, match=r"talkingpose\[heic\]"):
        read_image(buffer.getvalue())


def test_cmyk_becomes_rgb_and_floating_point_is_named() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (5, 4), (0, 255, 255, 0)).save(buffer, "JPEG", quality=95)
    red = read_image(buffer.getvalue())
    assert red.shape == (4, 5, 3) and red[..., 0].min() > 200 and red[..., 1].max() < 60
    buffer = io.BytesIO()
    Image.new("F", (5, 4)).save(buffer, "TIFF")
    with pytest.raises(MediaError, match=r"x\.tif: floating-point"):
        read_image(buffer.getvalue(), name="x.tif")
