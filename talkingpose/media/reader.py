"""Videos in: lazily decoded RGB frames with exact times, and an account of what was lost."""

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
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from talkingpose.media.decode_report import Account, DecodeReport
from talkingpose.media.decoder import decode
from talkingpose.media.errors import MediaError
from talkingpose.media.lazy_frame import Converters, LazyFrame
from talkingpose.media.source import (
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
    """One frame: its number in the iteration from 0, its time, and uint8 (height, width, 3) RGB.

    `time` is `pts` times the time base, in seconds, exact. Both are the file's own: the first frame of a
    file need not have time 0, and times may be negative.
    """

    index: int
    pts: int
    time: Fraction
    image: npt.NDArray[np.uint8]


class VideoReader:
    """The frames of one video file; iterate as often as wanted, nothing but the current frame is held.

    `source` is a path, or a file's content as bytes. `size` (width, height) scales each frame in the
    conversion itself; without it frames have the size in `info`. `name` stands for the file in messages
    (default: the path as given, or "video of N bytes"). `glance` scales as `LazyFrame.glance` does, for
    detectors. Colours follow `DECODER_POLICY`.

    Decoding uses one thread: with more, FFmpeg may give other frames of a damaged file, and the
    result must not depend on the machine. Decode several videos in several processes instead.

    Raises MediaError where there is no video with at least one frame.
    """

    def __init__(
        self,
        source: str | Path | bytes,
        *,
        size: tuple[int, int] | None = None,
        name: str | None = None,
        glance: bool = False,
    ) -> None:
        self._source = source if isinstance(source, bytes) else Path(source)
        self.name = name if name is not None else _default_name(source)
        if size is not None and min(size) < 1:
            raise MediaError(f"{self.name}: size {size[0]}x{size[1]}: ask for at least 1x1")
        self._size = size
        self._glance = glance
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
        """Close the file of an iteration that was left early."""
        if self._iteration is not None:
            self._iteration.close()
            self._iteration = None

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    @property
    def report(self) -> DecodeReport:
        """The account of the last iteration that ran to its end; MediaError before there is one."""
        if self._report is None:
            raise MediaError(f"{self.name}: no report yet: read all frames first")
        return self._report

    def frames(self, start_pts: int | None = None, end_pts: int | None = None) -> Iterator[Frame]:
        """Frames whose `pts` lies in [start_pts, end_pts), in order of presentation.

        None means from the first, to the last. `index` counts from 0 at the first frame that is yielded.
        Decoding starts at a key frame before the span, so the pixels are those of a full iteration. An
        empty span gives no frame. Closes an earlier iteration of this reader that was left early.
        """
        converters = Converters(self.info, self._turn)

        def show(index: int, pts: int, time: Fraction, frame: av.VideoFrame) -> Frame:
            if self._glance and self._size is not None:
                return Frame(index, pts, time, converters.glance(frame, self._size))
            return Frame(index, pts, time, converters.image(frame, self._size))

        return self._begin(self._iterate(start_pts, end_pts, show))

    def looks(self) -> Iterator[LazyFrame]:
        """All frames in order of presentation, each converted only as far as it is looked at.

        So one decoding serves several sizes. `size` does not count here.
        """
        converters = Converters(self.info, self._turn)

        def show(index: int, pts: int, time: Fraction, frame: av.VideoFrame) -> LazyFrame:
            return LazyFrame(index, pts, time, frame, converters)

        return self._begin(self._iterate(None, None, show))

    def key_frames(self) -> Iterator[LazyFrame]:
        """The frames that need no other one, and only those are decoded; `index` counts them.

        What cannot be decoded is left out, and there is no report.
        """
        return self._begin(self._key_frames())

    def _begin(self, iteration: Generator[_Shown, None, None]) -> Generator[_Shown, None, None]:
        self.close()
        self._report = None
        self._iteration = iteration
        return iteration

    def _examine(self) -> tuple[VideoInfo, DisplayTurn, int]:
        with open_video(self._source, self.name) as container:
            stream = video_stream(container, self.name)
            nothing = Account(claim=None, codec="", fps=Fraction(1), time_base=Fraction(1))
            first = next(decode(container, stream, nothing), None)
            if first is None:
                raise MediaError(
                    f"{self.name}: no frame of the {stream.codec_context.name} video can be decoded: "
                    "the file is damaged or cut off; fetch or export it again"
                )
            assert first.pts is not None
            return video_info(container, stream, first, self.name), display_turn(first), first.pts

    def _key_frames(self) -> Generator[LazyFrame, None, None]:
        nothing = Account(claim=None, codec="", fps=Fraction(1), time_base=Fraction(1))
        converters = Converters(self.info, self._turn)
        with open_video(self._source, self.name) as container:
            stream = video_stream(container, self.name)
            stream.codec_context.skip_frame = "NONKEY"
            for index, frame in enumerate(decode(container, stream, nothing)):
                assert frame.pts is not None
                yield LazyFrame(index, frame.pts, frame.pts * self.info.time_base, frame, converters)

    def _iterate(
        self,
        start_pts: int | None,
        end_pts: int | None,
        show: Callable[[int, int, Fraction, av.VideoFrame], _Shown],
    ) -> Generator[_Shown, None, None]:
        info = self.info
        account = Account(
            claim=info.num_frames,
            codec=info.codec,
            fps=info.fps,
            time_base=info.time_base,
            start_pts=start_pts,
            end_pts=end_pts,
        )
        with open_video(self._source, self.name) as container:
            for frame in self._decode_from(container, start_pts, account):
                pts = frame.pts
                assert pts is not None
                if start_pts is not None and pts < start_pts:
                    continue
                if end_pts is not None and pts >= end_pts:
                    break
                if account.is_late(pts):
                    account.damaged(pts)
                    continue
                index = account.frame_shown(
                    pts,
                    coded_size=(frame.width, frame.height),
                    key_frame=frame.key_frame,
                    interlaced=frame.interlaced_frame,
                )
                yield show(index, pts, pts * info.time_base, frame)
        turned = f"the display matrix turns by no right angle; turned by {info.rotation} degrees"
        self._report = account.report(() if self._turn.exact else (turned,))

    def _decode_from(
        self, container: InputContainer, start_pts: int | None, account: Account
    ) -> Iterator[av.VideoFrame]:
        """Decoded frames from a frame at or before `start_pts` on, or from the file's first."""
        stream = video_stream(container, self.name)
        for target in self._seek_targets(start_pts):
            try:
                container.seek(target, stream=stream)
            except av.FFmpegError:
                break
            account.restart()
            frames = decode(container, stream, account)
            first = next(frames, None)
            # A key frame found by decoding time may be shown after the frames that were asked for.
            if first is not None and first.pts is not None and first.pts <= (start_pts or 0):
                return itertools.chain([first], frames)
        return self._decode_all(account)

    def _decode_all(self, account: Account) -> Iterator[av.VideoFrame]:
        # Opened afresh: not every container can be sought back to its first packet.
        account.restart()
        with open_video(self._source, self.name) as container:
            yield from decode(container, video_stream(container, self.name), account)

    def _seek_targets(self, start_pts: int | None) -> Iterator[int]:
        if start_pts is None:
            return
        for back_s in _SEEK_BACK_S:
            target = start_pts - math.ceil(back_s / self.info.time_base)
            if target > self._first_pts:
                yield target


def probe(source: str | Path | bytes) -> VideoInfo:
    """What a video says of itself; decodes its first frame. Raises MediaError as VideoReader does."""
    return VideoReader(source).info


def _default_name(source: str | Path | bytes) -> str:
    return f"video of {len(source)} bytes" if isinstance(source, bytes) else str(source)
