"""Frames of a video from whatever the caller has: an array, a path, or an iterable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.io.errors import UserError
from talkingpose.io.image import Image

Frames = str | Path | npt.NDArray[np.uint8] | Iterable[Any]

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class ScoreError(UserError):
    """Videos that cannot be scored against each other: one line with the cause and the remedy."""


@dataclass(frozen=True)
class FrameInput:
    """Frames of one video, read lazily and in order.

    Attributes:
        name: of the video, for messages.
        read: starts reading; yields uint8 RGB (H, W, 3) arrays that do not change afterwards.
        num_frames: None where it is known only at the end.
        fps: None where the source states no rate.
    """

    name: str
    read: Callable[[], Iterator[Image]]
    num_frames: int | None = None
    fps: Fraction | None = None


def open_frames(name: str, frames: Frames) -> FrameInput:
    """Describe a video.

    Args:
        name: shown in messages, such as `real`.
        frames: uint8 RGB (T, H, W, 3); the path of a video or of a folder of pictures; or an iterable of
            frames that `np.asarray` turns into uint8 RGB (H, W, 3).

    Raises:
        ScoreError: an array of another shape or type, or a folder without pictures.
        MediaError: the video cannot be opened.
    """
    if isinstance(frames, str | Path):
        path = Path(frames)
        return _folder(name, path) if path.is_dir() else _video(name, path)
    if isinstance(frames, np.ndarray):
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise ScoreError(f"{name}: {frames.dtype} {frames.shape}: give uint8 RGB frames (T, H, W, 3)")
        return FrameInput(name, lambda: iter(frames), num_frames=len(frames))
    if not isinstance(frames, Iterable):
        raise ScoreError(f"{name}: {type(frames).__name__}: give an array, a path, or an iterable of frames")
    return FrameInput(name, lambda: (_frame(name, index, image) for index, image in enumerate(frames)))


def _frame(name: str, index: int, image: Any) -> Image:
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ScoreError(
            f"{name}, frame {index}: {array.dtype} {array.shape}: give uint8 RGB frames (H, W, 3)"
        )
    # The iterable may use its buffer again.
    return array.copy()


def _video(name: str, path: Path) -> FrameInput:
    from talkingpose.media import VideoReader

    reader = VideoReader(path)

    def read() -> Iterator[Image]:
        with reader:
            for frame in reader:
                yield np.ascontiguousarray(frame.image)
            if reader.report.messages:
                faults = "; ".join(reader.report.messages)
                raise ScoreError(f"{name}: {path}: damaged video ({faults}): write it again")

    return FrameInput(name, read, fps=reader.info.fps)


def _folder(name: str, folder: Path) -> FrameInput:
    from talkingpose.media import read_image

    paths = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
    if not paths:
        raise ScoreError(f"{name}: {folder}: no pictures in this folder: give PNG or JPEG frames")
    paths.sort(key=lambda path: _natural(path.name))
    return FrameInput(name, lambda: (read_image(path) for path in paths), num_frames=len(paths))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that orders the numbers within a name by value: frame 9 before frame 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
