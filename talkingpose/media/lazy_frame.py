"""A decoded frame that is converted only when, where and as large as it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, VideoReformatter

from talkingpose.media.errors import MediaError
from talkingpose.media.policy import DecoderPolicy, RgbConverter, is_full_range
from talkingpose.media.source import DisplayTurn, VideoInfo

# Means over areas: a third of the time of the bicubic filter when a picture becomes much smaller.
_GLANCE = DecoderPolicy(flags=("AREA",), scaling_flags=("AREA",))
# Formats whose first plane is the luma at one byte a pixel.
_LUMA_FIRST = frozenset(
    {f"{kind}{chroma}p" for kind in ("yuv", "yuvj") for chroma in (410, 411, 420, 422, 440, 444)}
    | {"nv12", "nv21", "nv16", "gray", "yuva420p"}
)

Size = tuple[int, int]
Converter = Callable[[av.VideoFrame, Size], npt.NDArray[np.uint8]]


class Converters:
    """From decoded frames of one video to upright pictures; keeps the scalers' tables between frames."""

    def __init__(self, info: VideoInfo, turn: DisplayTurn) -> None:
        self._info, self._turn = info, turn
        # One scaler per size: it makes its tables anew whenever the size changes.
        self._known: dict[tuple[str, Size], Converter] = {}

    def image(self, frame: av.VideoFrame, size: Size | None = None) -> npt.NDArray[np.uint8]:
        """uint8 (height, width, 3) RGB by `DECODER_POLICY`, at (width, height) or the video's own size."""
        return self._converted("image", RgbConverter, frame, size)

    def glance(self, frame: av.VideoFrame, size: Size) -> npt.NDArray[np.uint8]:
        """The same by the mean over areas; at the coded size there is nothing to be averaged."""
        if self._coded_size(size) == (frame.width, frame.height):
            return self.image(frame, size)
        return self._converted("glance", lambda: RgbConverter(_GLANCE), frame, size)

    def luma(self, frame: av.VideoFrame, box: tuple[int, int, int, int] | None) -> npt.NDArray[np.uint8]:
        """uint8 (height, width): a box of pixels, ends exclusive, of the upright picture; None for all."""
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
    ) -> npt.NDArray[np.uint8]:
        coded = self._coded_size(size)
        convert = self._known.get((kind, coded)) or self._known.setdefault((kind, coded), make())
        try:
            return self._turn.apply(convert(frame, coded))
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{self._info.name}: pixel format {frame.format.name}, matrix {self._info.color_matrix} "
                "cannot be converted to RGB: convert the file to yuv420p, matrix BT.709, first"
            ) from error

    def _coded_size(self, shown: Size | None) -> Size:
        width, height = shown or (self._info.width, self._info.height)
        return (height, width) if self._turn.quarters % 2 else (width, height)


class LazyFrame:
    """One frame of a video, not yet converted; to be used before the next one is asked for.

    Attributes:
        index: its number in the iteration, from 0.
        pts, time: as of `Frame`.
    """

    __slots__ = ("_converters", "_frame", "index", "pts", "time")

    def __init__(
        self, index: int, pts: int, time: Fraction, frame: av.VideoFrame, converters: Converters
    ) -> None:
        self.index, self.pts, self.time = index, pts, time
        self._frame, self._converters = frame, converters

    def image(self, size: Size | None = None) -> npt.NDArray[np.uint8]:
        """uint8 (height, width, 3) RGB, exactly as `VideoReader(size=size)` gives it.

        Raises MediaError for a pixel format that cannot be converted, as the other two do.
        """
        return self._converters.image(self._frame, size)

    def glance(self, size: Size) -> npt.NDArray[np.uint8]:
        """A smaller picture at a fraction of the time, each pixel the mean of an area.

        For detectors and measurements that choose footage; what is scored or kept goes through `image`.
        """
        return self._converters.glance(self._frame, size)

    def luma(self, box: tuple[int, int, int, int] | None = None) -> npt.NDArray[np.uint8]:
        """Brightness at the video's own size, uint8 (height, width), 0 black to 255 white.

        Args:
            box: x0, y0, x1, y1 in pixels, ends exclusive, cut at the edges; None for the whole picture.
        """
        return self._converters.luma(self._frame, box)


def _part(picture: npt.NDArray[np.uint8], box: tuple[int, int, int, int] | None) -> npt.NDArray[np.uint8]:
    if box is None:
        return picture
    x0, y0, x1, y1 = (max(edge, 0) for edge in box)
    return picture[y0:y1, x0:x1]


def _gray() -> Converter:
    reformatter = VideoReformatter()

    def convert(frame: av.VideoFrame, size: Size) -> npt.NDArray[np.uint8]:
        gray = reformatter.reformat(
            frame, width=size[0], height=size[1], format="gray", dst_color_range=ColorRange.JPEG, threads=1
        )
        return cast(npt.NDArray[np.uint8], gray.to_ndarray())

    return convert


@cache
def _expanded() -> npt.NDArray[np.uint8]:
    """Limited range to full: 16 to 235 become 0 to 255."""
    steps = (np.arange(256) - 16) * 255 / 219
    return np.rint(np.clip(steps, 0, 255)).astype(np.uint8)
