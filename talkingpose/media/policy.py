"""Decoder policy: conversion of decoded frames to RGB, identical everywhere in the project."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from talkingpose.io.image import Image

# AVColorSpace and AVColorRange, ITU-T H.273 (https://www.itu.int/rec/T-REC-H.273).
MATRIX_NAMES = {
    0: "rgb",
    1: "bt709",
    2: "unspecified",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
}
RANGE_NAMES = {0: "unspecified", 1: "limited", 2: "full"}

_MATRICES = {
    "bt709": Colorspace.ITU709,
    "fcc": Colorspace.FCC,
    "bt470bg": Colorspace.ITU601,
    "smpte170m": Colorspace.ITU601,
    "smpte240m": Colorspace.SMPTE240M,
    "bt2020nc": Colorspace.BT2020,
}


@dataclass(frozen=True)
class DecoderPolicy:
    """Rules of the conversion to RGB; protocols hash the result of `describe`.

    An untagged matrix means BT.601, an untagged range means limited (full for the yuvj formats, grey and
    RGB). This is the behaviour of OpenCV's VideoCapture, and at the coded size the result equals it bit for
    bit. Tagged frames (BT.709, BT.2020, full range, ...) are converted according to their tags, which OpenCV
    ignores, so that its colours are wrong there. Only the matrix and the range are applied: no transfer
    curve, primaries, tone mapping or deinterlacing. `flags` are libswscale flags.
    """

    version: ClassVar[str] = "1"
    flags: tuple[str, ...] = ("BICUBIC",)
    scaling_flags: tuple[str, ...] = ("BICUBIC", "ACCURATE_RND", "FULL_CHR_H_INT", "BITEXACT")
    unspecified_matrix: str = "smpte170m"

    def describe(self) -> dict[str, str]:
        """Return every rule that affects a pixel or a frame, as text by key."""
        return {
            "version": self.version,
            "decoder": "FFmpeg through PyAV, one thread, software",
            "convert": "libswscale to bgr24, read backwards, flags " + "+".join(self.flags),
            "scale": "libswscale in the same conversion, flags " + "+".join(self.scaling_flags),
            "matrix": f"as tagged; unspecified: {self.unspecified_matrix}",
            "range": "as tagged; unspecified: limited for YUV, full for yuvj formats, grey and RGB",
            "transfer": "not applied",
            "interlace": "not removed",
            "aspect": "square pixels by widening the shorter axis, rounded half up",
            "rotation": "display matrix, to the nearest right angle, and its mirroring, after the scaling",
            "corrupt": "frames marked corrupt by the decoder are lost, not shown",
            "order": "presentation order, half-open spans by presentation time",
        }


DECODER_POLICY = DecoderPolicy()


def square_size(width: int, height: int, sample_aspect_ratio: Fraction) -> tuple[int, int]:
    """Return (width, height) with square pixels: the coarser axis is widened; halves round up."""
    half = Fraction(1, 2)
    if sample_aspect_ratio > 1:
        return int(width * sample_aspect_ratio + half), height
    return width, int(height / sample_aspect_ratio + half)


class RgbConverter:
    """Converter of decoded frames to RGB; keeps the scaler's tables between frames."""

    def __init__(self, policy: DecoderPolicy = DECODER_POLICY) -> None:
        self._policy = policy
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, size: tuple[int, int]) -> Image:
        """Convert a frame to uint8 RGB (height, width, 3) at `size` (width, height), before rotation.

        Raises:
            av.FFmpegError: libswscale does not support the matrix or the pixel format.
        """
        policy = self._policy
        scaled = size != (frame.width, frame.height)
        bgr = self._reformatter.reformat(
            _plain(frame),
            width=size[0],
            height=size[1],
            format="bgr24",
            src_colorspace=_MATRICES.get(self._matrix(frame)),
            src_color_range=_range(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=_interpolation(policy.scaling_flags if scaled else policy.flags),
            threads=1,
        )
        return _reversed_channels(cast(Image, bgr.to_ndarray()))

    def _matrix(self, frame: av.VideoFrame) -> str:
        name = MATRIX_NAMES.get(frame.colorspace, str(frame.colorspace))
        return self._policy.unspecified_matrix if name == "unspecified" else name


def _plain(frame: av.VideoFrame) -> av.VideoFrame:
    """Copy the planes without field and chroma siting flags, which libswscale would apply."""
    if frame.format.is_rgb or frame.format.has_palette:
        return frame
    plain = av.VideoFrame(frame.width, frame.height, frame.format.name)
    plain.colorspace, plain.color_range = frame.colorspace, frame.color_range
    for source, target in zip(frame.planes, plain.planes, strict=True):
        rows = np.frombuffer(memoryview(source), np.uint8).reshape(source.height, -1)
        if source.line_size < 0:  # stored bottom-up
            rows = rows[::-1]
        written = np.frombuffer(memoryview(target), np.uint8).reshape(target.height, -1)
        row_bytes = min(rows.shape[1], written.shape[1])
        written[:, :row_bytes] = rows[:, :row_bytes]
    return plain


def _reversed_channels(image: Image) -> Image:
    # By channel: numpy copies a reversed last axis four times slower.
    result = np.empty_like(image)
    for channel in range(3):
        result[:, :, channel] = image[:, :, 2 - channel]
    return result


def is_full_range(frame: av.VideoFrame) -> bool:
    """Return True for values from 0 to 255, according to the tag, else to the format."""
    if frame.color_range:
        return int(frame.color_range) == int(ColorRange.JPEG)
    return frame.format.name.startswith(("yuvj", "gray")) or frame.format.is_rgb


def _range(frame: av.VideoFrame) -> ColorRange | None:
    if frame.color_range:
        return None
    return ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG


@functools.cache
def _interpolation(names: tuple[str, ...]) -> Interpolation:
    return functools.reduce(operator.or_, (Interpolation[name] for name in names))
