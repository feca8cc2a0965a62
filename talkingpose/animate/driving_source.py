"""Sources of driving frames: a video, or a folder of pictures in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from talkingpose.io.errors import UserError
from talkingpose.io.image import Image

DrivingKind = Literal["auto", "video", "pose", "keypoints"]

# Rate of a folder of pictures, which has none of its own.
FOLDER_FPS = Fraction(25)
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".avif", ".gif")
# Frames that are looked at to tell drawn poses from a film.
_SAMPLES = 3
# Levels below the first are background, above the second ink.
_DARK, _INK = 24, 64
# A drawn pose is black but for lines of saturated colour and white discs. Share of the background and of
# vivid ink: certain above the first pair, a film below the second. Measured on 103 films: drawn poses have
# 0.93 and 0.95, films of people at most 0.69 and 0.48; slides and titles come closest with 0.45 and 0.97.
_DRAWN, _MAYBE = (0.85, 0.85), (0.4, 0.8)


class DrivingError(UserError):
    """A driving video, folder, pose file or portrait that cannot be used."""


@dataclass(frozen=True)
class Span:
    """Part of a driving source.

    Attributes:
        start: of the first frame, in seconds from the first of the source.
        duration: in seconds; None for all.
        max_frames: None for all.
    """

    start: float = 0.0
    duration: float | None = None
    max_frames: int | None = None

    def frames(self, fps: Fraction, num_frames: int | None) -> tuple[int, int | None]:
        """Return the first frame and the number of frames; None for as many as there are."""
        first = round(self.start * fps)
        limits = [self.max_frames]
        if num_frames is not None:
            limits.append(max(num_frames - first, 0))
        if self.duration is not None:
            limits.append(max(round(self.duration * fps), 1))
        counts = [limit for limit in limits if limit is not None]
        return first, min(counts) if counts else None


WHOLE = Span()


class DrivingSource(Protocol):
    """Frames with a size and a rate."""

    name: str
    fps: Fraction
    width: int
    height: int
    has_audio: bool

    def count(self, span: Span) -> int | None:
        """Number of frames in a span; None if the container does not say."""

    def frames(self, span: Span) -> Iterator[tuple[Fraction, Image]]:
        """Yield time in seconds and frame, uint8 RGB (H, W, 3)."""

    def samples(self) -> list[Image]:
        """Return some frames, quickly."""


class VideoSource:
    """Driving video.

    Raises:
        MediaError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        from talkingpose.media import VideoReader

        self._reader = VideoReader(path)
        info = self._reader.info
        self.name = str(path)
        self.fps, self.width, self.height = info.fps, info.width, info.height
        self.has_audio, self._num_frames = info.has_audio, info.num_frames

    def count(self, span: Span) -> int | None:
        """Number of frames in a span; None if the container does not say."""
        return span.frames(self.fps, self._num_frames)[1]

    def frames(self, span: Span) -> Iterator[tuple[Fraction, Image]]:
        """Yield time in seconds and frame, uint8 RGB (H, W, 3)."""
        start_pts, limit = None, span.frames(self.fps, None)[1]
        if span.start > 0:
            with self._reader as reader:
                first = next(iter(reader))
            start_pts = first.pts + round(Fraction(span.start) / self._reader.info.time_base)
        with self._reader as reader:
            for frame in reader.frames(start_pts):
                if limit is not None and frame.index >= limit:
                    break
                yield frame.time, frame.image

    def samples(self) -> list[Image]:
        """Return the first key frames."""
        found = []
        with self._reader as reader:
            for frame in reader.key_frames():
                found.append(frame.image())
                if len(found) == _SAMPLES:
                    break
        return found


class FolderSource:
    """Folder of pictures of one size, in the order of the numbers in their names.

    Args:
        folder: with at least one picture; other files are ignored.
        fps: None for 25.

    Raises:
        DrivingError: there is no picture in it.
        MediaError: the first cannot be read.
    """

    has_audio = False

    def __init__(self, folder: Path, fps: Fraction | None = None) -> None:
        from talkingpose.media import read_image

        self.name = str(folder)
        found = [path for path in folder.iterdir() if path.suffix.lower() in _PICTURES and path.is_file()]
        self._paths = sorted((p for p in found if not p.name.startswith(".")), key=_natural)
        if not self._paths:
            raise DrivingError(f"driving {folder}: no picture in this folder: give a video or PNG pictures")
        self.height, self.width = read_image(self._paths[0]).shape[:2]
        self.fps = FOLDER_FPS if fps is None else fps

    def count(self, span: Span) -> int | None:
        """Number of frames in a span."""
        return span.frames(self.fps, len(self._paths))[1]

    def frames(self, span: Span) -> Iterator[tuple[Fraction, Image]]:
        """Yield time in seconds and picture; DrivingError for one of another size."""
        from talkingpose.media import read_image

        first, count = span.frames(self.fps, len(self._paths))
        for index, path in enumerate(self._paths[first:][:count], start=first):
            image = read_image(path)
            if image.shape[:2] != (self.height, self.width):
                raise DrivingError(
                    f"driving {path}: {image.shape[1]}x{image.shape[0]}, the first picture has "
                    f"{self.width}x{self.height}: give all in one size"
                )
            yield index / self.fps, image

    def samples(self) -> list[Image]:
        """Return pictures from the whole folder."""
        from talkingpose.media import read_image

        step = max(1, len(self._paths) // _SAMPLES)
        return [read_image(path) for path in self._paths[::step][:_SAMPLES]]


def open_source(path: Path, fps: Fraction | None = None) -> DrivingSource:
    """Open a video or a folder of pictures.

    Raises:
        DrivingError, MediaError: it cannot be read, or a rate is given for a video.
    """
    if path.is_dir():
        return FolderSource(path, fps)
    if fps is not None:
        raise DrivingError(f"--fps: {path} has its own rate: leave it out")
    return VideoSource(path)


def is_drawn(source: DrivingSource) -> bool:
    """Return True for drawn poses, False for a film of a person.

    Raises:
        DrivingError: it cannot be told.
    """
    shares = np.array([_shares(image) for image in source.samples()])
    background, vivid = np.median(shares, axis=0) if len(shares) else (0.0, 0.0)
    if background >= _DRAWN[0] and vivid >= _DRAWN[1]:
        return True
    if background >= _MAYBE[0] and vivid >= _MAYBE[1]:
        raise DrivingError(
            f"driving {source.name}: drawn poses or a film? Give --driving-kind pose or --driving-kind video"
        )
    return False


def _shares(image: Image) -> tuple[float, float]:
    """Return the share of dark pixels, and of vivid or white ones among the bright."""
    high, low = image.max(axis=2).astype(np.float32), image.min(axis=2).astype(np.float32)
    ink = high > _INK
    if not ink.any():
        return 1.0, 0.0
    saturation = (high - low) / np.maximum(high, 1)
    vivid = (saturation > 0.6) | ((high > 200) & (saturation < 0.15))
    return float((high <= _DARK).mean()), float(vivid[ink].mean())


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts 2.png before 10.png."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
