"""Contact sheets: three frames of a span as one JPEG."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curation.records import ShotVerdict, SourceRecord
from curation.store import Store
from talkingpose.io.image import Image
from talkingpose.media import MediaError, VideoReader

_HEIGHT = 96
_POSITIONS = (1 / 6, 1 / 2, 5 / 6)
_QUALITY = 72


@dataclass(frozen=True)
class FrameStrip:
    """Three frames of one span.

    Attributes:
        source, span: of the frames.
        jpeg: base64, None where neither the clip nor the source is available.
        width, height: in pixels.
    """

    source: SourceRecord
    span: ShotVerdict
    jpeg: str | None
    width: int
    height: int


def pick(
    spans: Sequence[tuple[SourceRecord, ShotVerdict]], count: int
) -> list[tuple[SourceRecord, ShotVerdict]]:
    """Choose at most `count` spans by hash: a reproducible sample."""

    def rank(pair: tuple[SourceRecord, ShotVerdict]) -> bytes:
        return hashlib.sha256(f"{pair[0].source_id} {pair[1].start_frame}".encode()).digest()

    return sorted(spans, key=rank)[:count]


def strip(store: Store, files: Mapping[str, Path], source: SourceRecord, span: ShotVerdict) -> FrameStrip:
    """Read three frames of a span, from its clip where it was kept, else from the source.

    Args:
        store: of the run.
        files: source files by id.
        source, span: of the frames.
    """
    clip = next((one for one in source.clips if one.clip_id == span.clip_id), None)
    if clip is not None:
        path = store.clip_folder(source.source_id, source.recipe) / f"{clip.clip_id}.mp4"
        start, length = 0.0, clip.num_frames / clip.fps
    elif source.source_id in files:
        path, start, length = files[source.source_id], span.start_s, span.end_s - span.start_s
    else:
        return FrameStrip(source, span, None, 0, 0)
    try:
        pictures = [_frame(path, start + share * length) for share in _POSITIONS]
    except (MediaError, OSError):
        return FrameStrip(source, span, None, 0, 0)
    from PIL import Image as PillowImage

    joined = np.concatenate([picture for picture in pictures if picture is not None], axis=1)
    file = io.BytesIO()
    PillowImage.fromarray(joined).save(file, "JPEG", quality=_QUALITY, optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    return FrameStrip(source, span, data, joined.shape[1], joined.shape[0])


def _frame(path: Path, time_s: float) -> Image | None:
    """Read the frame at a time in seconds, `_HEIGHT` pixels high; None beyond the end."""
    with VideoReader(path) as reader:
        info = reader.info
    size = (max(round(info.width * _HEIGHT / info.height), 1), _HEIGHT)
    with VideoReader(path, size=size) as reader:
        found = next(reader.frames(int(time_s / info.time_base)), None)
        return None if found is None else found.image
