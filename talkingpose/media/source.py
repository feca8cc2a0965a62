"""Opening of video files with FFmpeg: accepted containers, choice of the stream, properties and limits."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.logging
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.stream import VideoStream

from talkingpose.media.errors import MediaError
from talkingpose.media.policy import MATRIX_NAMES, RANGE_NAMES, square_size

# FFmpeg drops its messages itself. A callback into Python's logging would need the interpreter lock in
# FFmpeg's threads and deadlocks in forked children. `DecodeReport` and `MediaError` have what matters.
av.logging.set_level(None)

# Self-contained containers. Playlists and scripts (HLS, DASH, concat) are excluded, because they make FFmpeg
# open other files or URLs that an untrusted file names.
_CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,nut,ivf,h264,hevc,obu,av1,m4v,"
    "yuv4mpegpipe,dv,mjpeg,gif,apng,rm,wtv,gxf"
)

# 8K video has 33 megapixels. The decoder refuses larger frames before it allocates them.
MAX_PIXELS = 64 << 20
_MAX_SIDE = 16384
_MAX_ASPECT = 10
_DECODER_LIMITS = {"max_pixels": str(MAX_PIXELS)}


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video.

    Attributes:
        width, height: of the frames as shown, upright and with square pixels.
        fps: average frame rate.
        num_frames: claim of the container without frames hidden by its edit list; None without a claim.
        duration_s: claim of the container, None without one.
        rotation: clockwise rotation in degrees (0, 90, 180, 270) that makes the frame upright, after
            mirroring left to right if `mirrored`.
        sample_aspect_ratio: of the coded frame.
        color_matrix: tag such as "bt709" or "unspecified".
        color_range: "limited", "full" or "unspecified".
    """

    name: str
    container: str
    codec: str
    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    num_frames: int | None
    duration_s: float | None
    rotation: int
    sample_aspect_ratio: Fraction
    pixel_format: str
    color_matrix: str
    color_range: str
    has_audio: bool
    mirrored: bool = False


@dataclass(frozen=True)
class DisplayTurn:
    """Transform that makes a decoded frame upright: mirroring left to right, then clockwise quarter turns."""

    quarters: int
    mirrored: bool
    exact: bool

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return `image` (height, width, ...) upright and contiguous."""
        return image if not self.quarters and not self.mirrored else np.ascontiguousarray(self.view(image))

    def view(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return `image` upright, as a view."""
        return np.rot90(image[:, ::-1] if self.mirrored else image, -self.quarters)


def display_turn(frame: av.VideoFrame) -> DisplayTurn:
    """Return the turn of a frame's display matrix (ISO 14496-12, 8.2.2); none without a matrix."""
    data = cast("SideData | None", frame.side_data.get("DISPLAYMATRIX"))
    if data is None:
        return DisplayTurn(0, False, True)
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
    mirrored = a * d - b * c < 0
    degrees = math.degrees(math.atan2(-b, -a) if mirrored else math.atan2(b, a))
    quarters = round(degrees / 90)
    return DisplayTurn(quarters % 4, mirrored, abs(degrees - 90 * quarters) < 0.5)


def open_video(source: Path | bytes, name: str) -> InputContainer:
    """Open a video file from its path or content.

    Raises:
        MediaError: not a regular file, or not a supported container.
    """
    if isinstance(source, Path):
        _check_file(source, name)
    elif not source:
        raise MediaError(f"{name}: the content is empty (0 bytes): give the whole file")
    # FFmpeg never takes an absolute path for a URL such as "http://host/file".
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source.absolute())
    try:
        return av.open(file, "r", options={"format_whitelist": _CONTAINERS, **_DECODER_LIMITS})
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{name}: not a readable video file ({_reason(error)}): "
            "check that the file is complete, or fetch or export it again"
        ) from error


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """Return the first video stream that is not a cover picture, with limits set on its decoder.

    Raises:
        MediaError: there is no such stream, or its codec is unknown.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "no stream"
        raise MediaError(f"{name}: no video stream, only {kinds}: give a complete file with a video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise MediaError(
            f"{name}: unknown video codec: fetch the file again if it is truncated, or convert it to H.264"
        )
    # With more threads FFmpeg may give other frames of a damaged file.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = _DECODER_LIMITS
    return stream


def video_info(container: InputContainer, stream: VideoStream, frame: av.VideoFrame, name: str) -> VideoInfo:
    """Return the properties of an open video; `frame` is one of its frames.

    Raises:
        MediaError: the size or the sample aspect ratio exceeds the limits.
    """
    turn = display_turn(frame)
    aspect = _aspect(stream)
    width, height = square_size(frame.width, frame.height, aspect)
    if max(aspect, 1 / aspect) > _MAX_ASPECT or width * height > MAX_PIXELS or max(width, height) > _MAX_SIDE:
        raise MediaError(
            f"{name}: {frame.width}x{frame.height} with sample aspect ratio {float(aspect):g}: "
            f"give at most {MAX_PIXELS >> 20} megapixels, {_MAX_SIDE} pixels a side, ratio {_MAX_ASPECT}"
        )
    if turn.quarters % 2:
        width, height = height, width
    duration = _duration(container, stream)
    return VideoInfo(
        name=name,
        container=container.format.name,
        codec=stream.codec_context.name,
        width=width,
        height=height,
        fps=_rate(stream),
        time_base=_time_base(stream),
        num_frames=_claimed_frames(container, stream),
        duration_s=None if duration is None else float(duration),
        rotation=90 * turn.quarters,
        sample_aspect_ratio=aspect,
        pixel_format=frame.format.name,
        color_matrix=MATRIX_NAMES.get(frame.colorspace, str(int(frame.colorspace))),
        color_range=RANGE_NAMES.get(frame.color_range, "unspecified"),
        has_audio=bool(container.streams.audio),
        mirrored=turn.mirrored,
    )


def video_end(container: InputContainer, stream: VideoStream) -> int | None:
    """Return the end of the video according to the container, in ticks; None without a claim."""
    time_base = _time_base(stream)
    start = stream.start_time or 0
    if stream.duration is not None:
        return start + stream.duration
    tag = stream.metadata.get("DURATION")  # Matroska's statistics, "00:00:05.000000000"
    if tag is not None and tag.count(":") == 2:
        hours, minutes, seconds = tag.split(":")
        return round((int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)) / time_base)
    if container.duration is not None and len(container.streams) == 1:
        return round(Fraction((container.start_time or 0) + container.duration, av.time_base) / time_base)
    return None


def _check_file(path: Path, name: str) -> None:
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise MediaError(f"{name}: is {kind}: give the path of a video file")
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise MediaError(f"{name}: no such file: check the path") from None
    except MediaError:
        raise
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{name}: cannot be opened ({_reason(error)}): check the path and its permissions"
        ) from None
    if empty:
        raise MediaError(f"{name}: the file is empty (0 bytes): fetch or export it again")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]


def _aspect(stream: VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio
    return Fraction(aspect) if aspect is not None and aspect > 0 else Fraction(1)


def _rate(stream: VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return Fraction(rate)
    return Fraction(25)  # FFmpeg's default for a raw stream without a rate


def _time_base(stream: VideoStream) -> Fraction:
    return Fraction(cast(Fraction, stream.time_base))


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration is not None:
        return stream.duration * _time_base(stream)
    if container.duration is not None:
        return Fraction(container.duration, av.time_base)
    return None


def _claimed_frames(container: InputContainer, stream: VideoStream) -> int | None:
    if stream.frames and "mov" in container.format.name.split(","):
        # Unlike the frame count, the index respects the edit list.
        shown = sum(not entry.is_discard for entry in stream.index_entries)
        return shown or stream.frames
    index = stream.index_entries
    if container.format.name == "avi" and index and index[-1].timestamp + 1 == stream.frames:
        # The frame count includes empty chunks, which repeat a frame.
        return len(index)
    return stream.frames or None
