"""Video reader: lazily decoded RGB frames with exact times, and a report of losses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import av
from av.container import InputContainer

from talkingpose.io.image import Image
from talkingpose.media.decode_report import DecodeCounter, DecodeReport
from talkingpose.media.decoder import decode
from talkingpose.media.errors import MediaError
from talkingpose.media.lazy_frame import Converters, LazyFrame
from talkingpose.media.source import (
    MAX_PIXELS,
    DisplayTurn,
    VideoInfo,
    display_turn,
    open_video,
    video_info,
    video_stream,
)

_Shown = TypeVar("_Shown", "Frame", LazyFrame)
_SEEK_BACK_S = (0, 1, 4, 16, 64)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Decoded frame.

    Attributes:
        index: index in the iteration, from 0.
        pts: presentation time in ticks of the time base, as in the file; may start above 0 or be negative.
        time: exact presentation time in seconds.
        image: uint8 RGB (height, width, 3).
    """

    index: int
    pts: int
    time: Fraction
    image: Image


class VideoReader:
    """Reader of the frames of one video file. It can be iterated repeatedly and holds one frame at a time.

    Colours follow `DECODER_POLICY`. Decoding uses one thread, because with more FFmpeg may give other frames
    of a damaged file; decode several videos in several processes instead.

    Args:
        source: path, or content of the file.
        size: width and height of the frames; by default the size in `info`. Scaling is part of the colour
            conversion.
        name: name of the file in messages; by default the path, or "video of N bytes".
        downscaled: scale with area averaging, as `LazyFrame.downscaled`.

    Raises:
        MediaError: there is no video with at least one frame, or its size exceeds the limits.
    """

    def __init__(
        self,
        source: str | Path | bytes,
        *,
        size: tuple[int, int] | None = None,
        name: str | None = None,
        downscaled: bool = False,
    ) -> None:
        self._source = source if isinstance(source, bytes) else Path(source)
        self.name = name if name is not None else _default_name(source)
        if size is not None and min(size) < 1:
            raise MediaError(f"{self.name}: size {size[0]}x{size[1]}: give at least 1x1")
        self._size = size
        self._downscaled = downscaled
        self._report: DecodeReport | None = None
        self._iteration: Generator[Any, None, None] | None = None
        self.info, self._turn, self._first_pts = self._examine()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file of an unfinished iteration."""
        if self._iteration is not None:
            self._iteration.close()
            self._iteration = None

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    @property
    def report(self) -> DecodeReport:
        """Report of the last complete iteration; MediaError before the first."""
        if self._report is None:
            raise MediaError(f"{self.name}: no report yet: read all frames first")
        return self._report

    @property
    def first_pts(self) -> int:
        """Presentation time of the first frame, in ticks of the time base."""
        return self._first_pts

    def frames(self, start_pts: int | None = None, end_pts: int | None = None) -> Iterator[Frame]:
        """Iterate over the frames with `pts` in [start_pts, end_pts), in presentation order.

        None means the first or the last frame. `index` is 0 at the first frame of the span. Decoding starts
        at a key frame before the span, so that pixels equal those of a full iteration. An unfinished earlier
        iteration of this reader is closed.
        """
        converters = Converters(self.info, self._turn)

        def show(index: int, pts: int, time: Fraction, frame: av.VideoFrame) -> Frame:
            if self._downscaled and self._size is not None:
                return Frame(index, pts, time, converters.downscaled(frame, self._size))
            return Frame(index, pts, time, converters.image(frame, self._size))

        return self._begin(self._iterate(start_pts, end_pts, show))

    def lazy_frames(self) -> Iterator[LazyFrame]:
        """Iterate over all frames in presentation order without converting them; ignores `size`.

        One decoding can serve several sizes.
        """
        converters = Converters(self.info, self._turn)

        def show(index: int, pts: int, time: Fraction, frame: av.VideoFrame) -> LazyFrame:
            return LazyFrame(index, pts, time, frame, converters)

        return self._begin(self._iterate(None, None, show))

    def key_frames(self) -> Iterator[LazyFrame]:
        """Decode the key frames only; `index` counts them. Undecodable ones are skipped, without a report."""
        return self._begin(self._key_frames())

    def _begin(self, iteration: Generator[_Shown, None, None]) -> Generator[_Shown, None, None]:
        self.close()
        self._report = None
        self._iteration = iteration
        return iteration

    def _examine(self) -> tuple[VideoInfo, DisplayTurn, int]:
        with open_video(self._source, self.name) as container:
            stream = video_stream(container, self.name)
            counter = DecodeCounter(claim=None, codec="", fps=Fraction(1), time_base=Fraction(1))
            first = next(decode(container, stream, counter), None)
            if first is None:
                raise MediaError(
                    f"{self.name}: no frame of the {stream.codec_context.name} video can be decoded: it "
                    f"is damaged, truncated or above {MAX_PIXELS >> 20} megapixels; fetch or export it again"
                )
            assert first.pts is not None
            return video_info(container, stream, first, self.name), display_turn(first), first.pts

    def _key_frames(self) -> Generator[LazyFrame, None, None]:
        counter = DecodeCounter(claim=None, codec="", fps=Fraction(1), time_base=Fraction(1))
        converters = Converters(self.info, self._turn)
        with open_video(self._source, self.name) as container:
            stream = video_stream(container, self.name)
            stream.codec_context.skip_frame = "NONKEY"
            for index, frame in enumerate(decode(container, stream, counter)):
                assert frame.pts is not None
                yield LazyFrame(index, frame.pts, frame.pts * self.info.time_base, frame, converters)

    def _iterate(
        self,
        start_pts: int | None,
        end_pts: int | None,
        show: Callable[[int, int, Fraction, av.VideoFrame], _Shown],
    ) -> Generator[_Shown, None, None]:
        info = self.info
        counter = DecodeCounter(
            claim=info.num_frames,
            codec=info.codec,
            fps=info.fps,
            time_base=info.time_base,
            start_pts=start_pts,
            end_pts=end_pts,
        )
        with open_video(self._source, self.name) as container:
            for frame in self._decode_from(container, start_pts, counter):
                pts = frame.pts
                assert pts is not None
                if start_pts is not None and pts < start_pts:
                    continue
                if end_pts is not None and pts >= end_pts:
                    break
                if counter.is_late(pts):
                    counter.damaged(pts)
                    continue
                index = counter.frame_shown(
                    pts,
                    coded_size=(frame.width, frame.height),
                    key_frame=frame.key_frame,
                    interlaced=frame.interlaced_frame,
                )
                yield show(index, pts, pts * info.time_base, frame)
        turned = f"the display matrix is not a right angle; rotated by {info.rotation} degrees"
        self._report = counter.report(() if self._turn.exact else (turned,))

    def _decode_from(
        self, container: InputContainer, start_pts: int | None, counter: DecodeCounter
    ) -> Iterator[av.VideoFrame]:
        """Decode from a frame at or before `start_pts`, or from the first frame."""
        stream = video_stream(container, self.name)
        for target in self._seek_targets(start_pts):
            try:
                container.seek(target, stream=stream)
            except av.FFmpegError:
                break
            counter.restart()
            frames = decode(container, stream, counter)
            first = next(frames, None)
            # Seeking is by decoding time; the key frame may be presented after the requested frames.
            if first is not None and first.pts is not None and first.pts <= (start_pts or 0):
                return itertools.chain([first], frames)
        return self._decode_all(counter)

    def _decode_all(self, counter: DecodeCounter) -> Iterator[av.VideoFrame]:
        # A new container, because not every format can seek back to its first packet.
        counter.restart()
        with open_video(self._source, self.name) as container:
            yield from decode(container, video_stream(container, self.name), counter)

    def _seek_targets(self, start_pts: int | None) -> Iterator[int]:
        if start_pts is None:
            return
        for back_s in _SEEK_BACK_S:
            target = start_pts - math.ceil(back_s / self.info.time_base)
            if target > self._first_pts:
                yield target


def probe(source: str | Path | bytes) -> VideoInfo:
    """Read the properties of a video; decodes its first frame.

    Raises:
        MediaError: as `VideoReader`.
    """
    return VideoReader(source).info


def _default_name(source: str | Path | bytes) -> str:
    return f"video of {len(source)} bytes" if isinstance(source, bytes) else str(source)
