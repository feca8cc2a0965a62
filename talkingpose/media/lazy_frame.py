"""Decoded frames whose conversion to RGB is deferred to the requested size or region."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, VideoReformatter

from talkingpose.io.image import Image
from talkingpose.media.errors import MediaError
from talkingpose.media.policy import DecoderPolicy, RgbConverter, is_full_range
from talkingpose.media.source import DisplayTurn, VideoInfo

# Area averaging takes a third of the time of the bicubic filter for strong reduction.
_AREA = DecoderPolicy(flags=("AREA",), scaling_flags=("AREA",))
# Formats whose first plane is luma with one byte per pixel.
_LUMA_FIRST = frozenset(
    {f"{kind}{chroma}p" for kind in ("yuv", "yuvj") for chroma in (410, 411, 420, 422, 440, 444)}
    | {"nv12", "nv21", "nv16", "gray", "yuva420p"}
)

Size = tuple[int, int]
# uint8 (height, width, 3) RGB, or (height, width) luma.
Pixels = npt.NDArray[np.uint8]
Converter = Callable[[av.VideoFrame, Size], Pixels]


class Converters:
    """Converters from the decoded frames of one video to upright images; keep tables between frames."""

    def __init__(self, info: VideoInfo, turn: DisplayTurn) -> None:
        self._info, self._turn = info, turn
        # One scaler per size, because a scaler rebuilds its tables when the size changes.
        self._known: dict[tuple[str, Size], Converter] = {}

    def image(self, frame: av.VideoFrame, size: Size | None = None) -> Image:
        """Convert to uint8 RGB (height, width, 3) at (width, height), by default the size of the video."""
        return self._converted("image", RgbConverter, frame, size)

    def downscaled(self, frame: av.VideoFrame, size: Size) -> Image:
        """Convert with area averaging; at the coded size equal to `image`."""
        if self._coded_size(size) == (frame.width, frame.height):
            return self.image(frame, size)
        return self._converted("downscaled", lambda: RgbConverter(_AREA), frame, size)

    def luma(self, frame: av.VideoFrame, box: tuple[int, int, int, int] | None) -> Pixels:
        """Return luma, uint8 (height, width), of a box of the upright image; see `LazyFrame.luma`."""
        coded = self._coded_size(None)
        if frame.format.name in _LUMA_FIRST and coded == (frame.width, frame.height):
            plane = frame.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
            rows = rows[:: 1 if plane.line_size > 0 else -1, : frame.width]
            picture = _part(self._turn.view(rows), box)
            return picture.copy() if is_full_range(frame) else np.take(_expanded(), picture)
        gray = self._converted("luma", _gray, frame, None)
        return _part(gray, box).copy()

    def _converted(
        self, kind: str, make: Callable[[], Converter], frame: av.VideoFrame, size: Size | None
    ) -> Pixels:
        coded = self._coded_size(size)
        convert = self._known.get((kind, coded)) or self._known.setdefault((kind, coded), make())
        try:
            return self._turn.apply(convert(frame, coded))
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self._info.name}: pixel format {frame.format.name}, matrix {self._info.color_matrix} "
                "cannot be converted to RGB: convert the file to yuv420p, BT.709, first"
            ) from error

    def _coded_size(self, shown: Size | None) -> Size:
        width, height = shown or (self._info.width, self._info.height)
        return (height, width) if self._turn.quarters % 2 else (width, height)


class LazyFrame:
    """Frame of a video before conversion; valid until the next frame is requested.

    Attributes:
        index: index in the iteration, from 0.
        pts, time: as in `Frame`.
    """

    __slots__ = ("_converters", "_frame", "index", "pts", "time")

    def __init__(
        self, index: int, pts: int, time: Fraction, frame: av.VideoFrame, converters: Converters
    ) -> None:
        self.index, self.pts, self.time = index, pts, time
        self._frame, self._converters = frame, converters

    def image(self, size: Size | None = None) -> Image:
        """Convert to uint8 RGB (height, width, 3), equal to the frames of `VideoReader(size=size)`.

        Raises:
            MediaError: the pixel format cannot be converted; the other methods raise it too.
        """
        return self._converters.image(self._frame, size)

    def downscaled(self, size: Size) -> Image:
        """Convert to a smaller image with area averaging, faster than `image`.

        For detectors and measurements that select clips. Frames that are scored or stored use `image`.
        """
        return self._converters.downscaled(self._frame, size)

    def luma(self, box: tuple[int, int, int, int] | None = None) -> Pixels:
        """Return luma at the size of the video, uint8 (height, width), 0 (black) to 255 (white).

        Args:
            box: x0, y0, x1, y1 in pixels, ends exclusive, clipped to the frame; None for the whole frame.
        """
        return self._converters.luma(self._frame, box)


def _part(picture: Pixels, box: tuple[int, int, int, int] | None) -> Pixels:
    if box is None:
        return picture
    x0, y0, x1, y1 = (max(edge, 0) for edge in box)
    return picture[y0:y1, x0:x1]


def _gray() -> Converter:
    reformatter = VideoReformatter()

    def convert(frame: av.VideoFrame, size: Size) -> Pixels:
        gray = reformatter.reformat(
            frame, width=size[0], height=size[1], format="gray", dst_color_range=ColorRange.JPEG, threads=1
        )
        return cast(Pixels, gray.to_ndarray())

    return convert


@cache
def _expanded() -> Pixels:
    """Return the table from limited to full range: 16 to 235 become 0 to 255."""
    steps = (np.arange(256) - 16) * 255 / 219
    return np.rint(np.clip(steps, 0, 255)).astype(np.uint8)
