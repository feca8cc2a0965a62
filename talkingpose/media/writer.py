"""Video writer: frames to an mp4 file, written atomically and reproducible to the byte."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from av.video.stream import VideoStream

from talkingpose.io.atomic import move, temporary_path
from talkingpose.io.image import Image
from talkingpose.media.errors import MediaError

# The number of threads affects the output of x264, so it does not depend on the machine.
_THREADS = 4
_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
_TO_YUV = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP | Interpolation.BITEXACT
)
# x264's macroblock tree (mbtree) sums costs in blocks of eight macroblocks. Its AVX-512 code does not mask
# the end of a row whose length is not a multiple of eight (128 pixels), so uninitialised memory affects the
# output on some processors. Without the tree, valgrind reports no such read. No B-frames: decoding order is
# presentation order. Cost at a given crf: files 10 % (moving camera) to 40 % (still background) larger, up
# to 10 % at equal PSNR; no time.
_REPEATABLE = {"mbtree": "0", "bf": "0"}
# Removes the H.264 SEI messages with x264's version and settings.
_WITHOUT_MESSAGES = "filter_units=remove_types=6"
_AVCOL_SPC_RGB, _AVCOL_SPC_SMPTE170M = 0, 6
_MAX_TERM = 2**31 - 1


class VideoWriter:
    """Writer of an mp4 file; use it in a `with` block.

    Frames are encoded as H.264 yuv420p, limited range, BT.601 matrix, with matching tags: correct in players
    that respect tags and in OpenCV, which assumes BT.601. The same frames and settings give the same bytes
    with the same libraries, on any number of cores. The file gets its name when the block ends without error
    and at least one frame was written; until then it has a temporary name in the same folder.

    Args:
        path: file to write, with suffix .mp4.
        fps: exact frame rate; frame k is shown at k / fps.
        lossless: keep every RGB value (H.264 in RGB, qp 0); few browsers play such a file.
        crf: x264 CRF (0-51); lower is better quality and a larger file.
        preset: x264 preset.
        gop: frames from key frame to key frame, from 1; None for x264's own choice, up to 250.

    Raises:
        MediaError: a path, rate, setting or frame that cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: Fraction,
        lossless: bool = False,
        crf: int = 18,
        preset: str = "medium",
        gop: int | None = None,
    ) -> None:
        self.path = Path(path)
        self._fps = _checked_rate(fps, self.path)
        self._lossless = lossless
        quality = {"qp": "0"} if lossless else {"crf": str(crf), **_REPEATABLE}
        self._options = {"preset": preset} | quality | ({} if gop is None else {"g": str(gop)})
        _check_settings(self.path, crf, preset)
        self._temporary = temporary_path(self.path)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._reformatter = VideoReformatter()
        self._filter = BitStreamFilterContext(_WITHOUT_MESSAGES, "h264")
        self._size = (0, 0)
        self.num_frames = 0

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def write(self, image: Image) -> None:
        """Append a frame, uint8 RGB (height, width, 3), of the same size as the first."""
        self._check_image(image)
        if self._stream is None:
            self._start(image.shape[1], image.shape[0])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._encode(self._converted(frame))
        self.num_frames += 1

    def _check_image(self, image: Image) -> None:
        where = f"{self.path}: frame {self.num_frames}"
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            kind = getattr(image, "dtype", type(image).__name__)
            raise MediaError(f"{where} is {kind}: give a uint8 array")
        if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise MediaError(f"{where} has shape {image.shape}: give (height, width, 3), RGB")
        height, width = image.shape[:2]
        if self._stream is not None and (width, height) != self._size:
            raise MediaError(
                f"{where} is {width}x{height}, the first was {self._size[0]}x{self._size[1]}: "
                "give every frame the same size"
            )
        if not self._lossless and (width % 2 or height % 2):
            raise MediaError(
                f"{where} is {width}x{height}: H.264 yuv420p needs even sizes: "
                "crop or pad by one pixel, or write with lossless=True"
            )

    def _start(self, width: int, height: int) -> None:
        try:
            self._container = av.open(
                str(self._temporary.absolute()),
                "w",
                format="mp4",
                container_options={"movflags": "+faststart", "fflags": "+bitexact"},
            )
            self._stream = self._add_stream(self._container, width, height)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(
                f"{self.path}: cannot be written ({error.strerror}): check the folder"
            ) from error
        self._size = (width, height)

    def _add_stream(self, container: OutputContainer, width: int, height: int) -> VideoStream:
        codec = "libx264rgb" if self._lossless else "libx264"
        stream = container.add_stream(codec, rate=self._fps, options=self._options)
        assert isinstance(stream, VideoStream)
        stream.time_base = 1 / self._fps
        context = stream.codec_context
        context.time_base = 1 / self._fps
        context.width, context.height = width, height
        context.pix_fmt = "rgb24" if self._lossless else "yuv420p"
        context.thread_count = _THREADS
        context.flags |= Flags.bitexact
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.IEC61966_2_1
        context.colorspace = _AVCOL_SPC_RGB if self._lossless else _AVCOL_SPC_SMPTE170M
        context.color_range = ColorRange.JPEG if self._lossless else ColorRange.MPEG
        return stream

    def _converted(self, frame: av.VideoFrame) -> av.VideoFrame:
        if not self._lossless:
            frame = self._reformatter.reformat(
                frame,
                format="yuv420p",
                dst_colorspace=Colorspace.ITU601,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
                interpolation=_TO_YUV,
                threads=1,
            )
        frame.pts = self.num_frames
        frame.time_base = 1 / self._fps
        return frame

    def _encode(self, frame: av.VideoFrame | None) -> None:
        assert self._stream is not None and self._container is not None
        try:
            for packet in self._stream.encode(frame):
                for kept in self._filter.filter(packet):
                    kept.stream, kept.time_base = self._stream, 1 / self._fps
                    self._container.mux(kept)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{self.path}: cannot be written ({error.strerror}): check the disk") from error

    def _finish(self) -> None:
        if self._container is None:
            raise MediaError(f"{self.path}: no frame was written: write at least one")
        self._encode(None)
        try:
            self._container.close()
            self._container = None
            move(self._temporary, self.path)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{self.path}: cannot be written ({error.strerror}): check the disk") from error

    def _discard(self) -> None:
        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except (av.FFmpegError, OSError):
            pass  # the original error is raised
        finally:
            self._temporary.unlink(missing_ok=True)


def _checked_rate(fps: Fraction, path: Path) -> Fraction:
    if isinstance(fps, bool) or not isinstance(fps, (int, Fraction)):
        raise MediaError(f"{path}: fps {fps!r} is not exact: give a Fraction, such as Fraction(30000, 1001)")
    rate = Fraction(fps)
    if rate <= 0 or max(rate.numerator, rate.denominator) > _MAX_TERM:
        raise MediaError(f"{path}: fps {rate} cannot be stored: give a positive rate with terms below 2^31")
    return rate


def _check_settings(path: Path, crf: int, preset: str) -> None:
    if path.suffix.lower() != ".mp4":
        raise MediaError(f"{path}: the name must end in .mp4: rename the output")
    if path.is_dir():
        raise MediaError(f"{path}: is a folder: give the name of a file")
    if not path.parent.is_dir():
        raise MediaError(f"{path}: there is no folder {path.parent}: create it first")
    if not 0 <= crf <= 51:
        raise MediaError(f"{path}: crf {crf}: give a whole number from 0 to 51")
    if preset not in _PRESETS:
        raise MediaError(f"{path}: preset {preset!r}: choose one of {', '.join(_PRESETS)}")
