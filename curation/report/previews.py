"""Small videos and portraits of spans, for the report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from curation.records import ClipRecord, ShotVerdict, SourceRecord
from curation.store import Store
from talkingpose.io.atomic import atomic_write
from talkingpose.media import MediaError, VideoReader, VideoWriter
from talkingpose.media.audio import cut_audio

_LONGEST_SIDE = 480
# Longest part of a rejected span that is shown; a kept clip is shown as a whole.
_LONGEST_S = 60.0
_CRF, _PRESET = 30, "veryfast"
# Frames from key frame to key frame: a browser shows any frame quickly.
_GOP = 25
_QUALITY = 80
_MAX_RATE_TERM = 100_000
# Bump to make previews again.
_VERSION = 1


class PreviewError(Exception):
    """No preview; the message is for the page."""


@dataclass(frozen=True)
class Preview:
    """Files of one span, beside each other in one folder.

    Attributes:
        video, portrait: Names of an mp4 file without B-frames and of a JPEG file with its first frame.
        width, height: In pixels.
        frames: Number of frames.
        fps: Frames per second; frame k is shown at k / fps.
        start_s, end_s: Shown part of the source, in seconds.
    """

    video: str
    portrait: str
    width: int
    height: int
    frames: int
    fps: float
    start_s: float
    end_s: float


def make_preview(
    store: Store, files: Mapping[str, Path], source: SourceRecord, span: ShotVerdict, folder: Path
) -> Preview:
    """Make the files of a span, from its clip where it was kept, else from its source.

    Files of an earlier call are used again.

    Args:
        store: State of the run.
        files: Source files by id.
        source: Source of the span.
        span: Span to show.
        folder: Existing folder of the files.

    Raises:
        PreviewError: neither the clip nor the source can be read.
    """
    clip = next((one for one in source.clips if one.clip_id == span.clip_id), None)
    content = clip.sha256 if clip else source.source_sha256
    parts = (_VERSION, source.source_id, content, span.start_frame, span.end_frame)
    name = "v-" + hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    video, portrait = folder / f"{name}.mp4", folder / f"{name}.jpg"
    try:
        if not video.is_file() or not portrait.is_file():
            if clip is not None:
                _copy(store.clip_folder(source.source_id, source.recipe) / f"{clip.clip_id}.mp4", video, clip)
            elif source.source_id in files:
                _copy_part(files[source.source_id], video, span)
            else:
                raise PreviewError("The source is no longer available.")
            _write_portrait(video, portrait)
        return _described(video, portrait, span, clip)
    except (MediaError, OSError) as error:
        video.unlink(missing_ok=True)
        raise PreviewError("The video cannot be read.") from error


def _copy(path: Path, to: Path, clip: ClipRecord) -> None:
    _write(path, to, None, None, clip.num_frames)
    if clip.has_audio:
        length = clip.num_frames / Fraction(clip.fps).limit_denominator(_MAX_RATE_TERM)
        cut_audio(to, path, start=Fraction(0), length=length)


def _copy_part(path: Path, to: Path, span: ShotVerdict) -> None:
    with VideoReader(path) as reader:
        tick = reader.info.time_base
        fps = reader.info.fps
    start, end = round(span.start_s / tick), round(min(span.end_s, span.start_s + _LONGEST_S) / tick)
    _write(path, to, start, end, max(round(_LONGEST_S * fps), 1))


def _write(path: Path, to: Path, start_pts: int | None, end_pts: int | None, most: int) -> None:
    with VideoReader(path) as reader:
        info = reader.info
    scale = min(_LONGEST_SIDE / max(info.width, info.height), 1.0)
    size = (_even(info.width * scale), _even(info.height * scale))
    with (
        VideoReader(path, size=size, downscaled=True) as reader,
        VideoWriter(to, fps=info.fps, crf=_CRF, preset=_PRESET, gop=_GOP) as writer,
    ):
        for frame in reader.frames(start_pts, end_pts):
            if frame.index == most:
                break
            writer.write(frame.image)


def _even(side: float) -> int:
    return max(round(side / 2) * 2, 2)


def _write_portrait(video: Path, to: Path) -> None:
    from PIL import Image as Pictures

    with VideoReader(video) as reader:
        first = next(iter(reader)).image
    with atomic_write(to) as temporary:
        Pictures.fromarray(first).save(temporary, "JPEG", quality=_QUALITY, optimize=True)


def _described(video: Path, portrait: Path, span: ShotVerdict, clip: ClipRecord | None) -> Preview:
    with VideoReader(video, name=video.name) as reader:
        info = reader.info
    frames, fps = info.num_frames or 1, float(info.fps)
    end = span.end_s if clip is not None else min(span.end_s, span.start_s + frames / fps)
    return Preview(
        video.name, portrait.name, info.width, info.height, frames, fps, span.start_s, max(end, span.start_s)
    )
