"""Videos made for the tests: every frame carries its number as a row of bright and dark blocks."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT, BITS = 96, 64, 8


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture with `number` in its upper half and a moving ramp of colours below."""
    x = np.arange(width)
    image = np.empty((height, width, 3), np.uint8)
    image[...] = ((x + 3 * number) % width * 255 // width)[None, :, None]
    image[:, :, 1] = np.linspace(40, 200, height).astype(np.uint8)[:, None]
    bits = (number >> (x * BITS // width)) & 1
    image[: height // 2] = np.where(bits, 220, 30)[None, :, None]
    return image


def number_in(image: np.ndarray) -> int:
    """The number that `numbered` wrote, through scaling and lossy coding."""
    height, width = image.shape[:2]
    row = image[height // 8 : height * 3 // 8].mean(axis=(0, 2))
    return sum(int(row[int((bit + 0.5) * width / BITS)] > 125) << bit for bit in range(BITS))


def encode(
    path: Path,
    images: Iterable[np.ndarray],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction = Fraction(25),
    time_base: Fraction | None = None,
    pts: Iterable[int] | None = None,
    options: dict[str, str] | None = None,
    context: dict[str, Any] | None = None,
    rotation: tuple[int, bool] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode with PyAV alone, so that the reader is not tested by our own writer."""
    images = list(images)
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = time_base or 1 / rate
        stream.codec_context.thread_count = 1
        for name, value in (context or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        for image, time in zip(images, pts if pts is not None else range(len(images)), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = time, time_base or 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
