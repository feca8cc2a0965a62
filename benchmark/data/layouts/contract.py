"""Contract of layouts, and readers of what they hold: folders of pictures and video files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy.typing as npt

from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.media import VideoReader, read_image

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


class LayoutError(UserError):
    """Data of another layout, or a clip of it that cannot be read."""


@dataclass(frozen=True)
class SquareCrop:
    """Square of the source that becomes the frame of the clip.

    Attributes:
        left, top, side: in pixels of the source; the square may reach beyond the picture, which is then black.
        out: side of the clip in pixels.
        resample: scales a square, uint8 (side, side, 3), to (out, out, 3).
    """

    left: int
    top: int
    side: int
    out: int
    resample: Callable[[Image, int], Image]


@dataclass(frozen=True)
class SourceClip:
    """Clip as the user has it.

    Attributes:
        name: as in the user's folder; `--only` names it.
        source_id: recording; clips of one recording are not independent.
        fps: frame rate of the clip.
        frames: opens the frames, uint8 RGB (H, W, 3), of one size.
        place: chooses the square from the keypoints (T, 133, 3), width and height in pixels.
    """

    name: str
    source_id: str
    fps: Fraction
    frames: Callable[[], Iterator[Image]]
    place: Callable[[npt.NDArray[Any], int, int], SquareCrop]


@dataclass(frozen=True)
class Layout:
    """Layout of a data set.

    Attributes:
        name: on the command line, such as `tiktok`.
        protocol: protocol that takes the clips.
        title: of the imported dataset.
        find: lists the clips of a folder; `fps` is the rate of pictures, None if not given. Raises
            LayoutError where the folder has another layout.
    """

    name: str
    protocol: str
    title: str
    find: Callable[[Path, Fraction | None], Sequence[SourceClip]]


def natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by value: `2.png` before `10.png`."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def pictures(folder: Path) -> list[Path]:
    """List the pictures of a folder, in the order of the numbers in their names."""
    return sorted(
        (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PICTURES and path.is_file() and not path.name.startswith(".")
        ),
        key=natural,
    )


def videos(folder: Path) -> list[Path]:
    """List the video files of a folder, by name."""
    return sorted(
        (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in VIDEOS and path.is_file() and not path.name.startswith(".")
        ),
        key=natural,
    )


def folders(folder: Path) -> list[Path]:
    """List the folders in a folder, by name."""
    return sorted(
        (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")), key=natural
    )


def picture_frames(paths: Sequence[Path]) -> Iterator[Image]:
    """Read pictures as the frames of a clip.

    Raises:
        LayoutError: a number is missing in the names, or a picture has another size.
        MediaError: a picture cannot be read.
    """
    _check_numbers(paths)
    shape: tuple[int, ...] | None = None
    for path in paths:
        image = read_image(path)
        if shape is not None and image.shape != shape:
            raise LayoutError(
                f"{path}: {image.shape[1]}x{image.shape[0]} after {shape[1]}x{shape[0]}: "
                "the frames of a clip have one size"
            )
        shape = image.shape
        yield image


def video_frames(path: Path) -> Iterator[Image]:
    """Read the frames of a video.

    Raises:
        LayoutError: after the last frame, if frames are damaged or missing.
    """
    with VideoReader(path) as reader:
        for frame in reader:
            yield frame.image
        check_undamaged(reader)


def check_undamaged(reader: VideoReader) -> None:
    """Check a video after all its frames were read.

    Raises:
        LayoutError: frames are damaged or missing.
    """
    if reader.report.messages:
        faults = "; ".join(reader.report.messages)
        raise LayoutError(f"{reader.name}: damaged video ({faults}): copy or download it again")


def _check_numbers(paths: Sequence[Path]) -> None:
    numbers = [int(found[-1]) if (found := re.findall(r"\d+", path.stem)) else None for path in paths]
    for before, after, path in zip(numbers, numbers[1:], paths[1:], strict=False):
        if before is not None and after is not None and after != before + 1:
            raise LayoutError(
                f"{path}: number {after} follows {before}: a frame is missing or occurs twice: complete the "
                "folder"
            )
