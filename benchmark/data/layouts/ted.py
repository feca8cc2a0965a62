"""TED-talks (Siarohin et al., CVPR 2021): square clips as mp4 files, folders of pictures, or strips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.layouts.contract import (
    Layout,
    LayoutError,
    SquareCrop,
    SourceClip,
    folders,
    picture_frames,
    pictures,
    video_frames,
    videos,
)
from talkingpose.io.image import Image
from talkingpose.media import MediaError, probe, read_image, resize_image

SIDE = 384
_TEST = "test"


def find(source: Path, fps: Fraction | None) -> Sequence[SourceClip]:
    """List the clips of a folder: those of its folder `test` where there is one."""
    root = source / _TEST if (source / _TEST).is_dir() else source
    clips = [
        SourceClip(path.stem, _recording(path.stem), _video_rate(path), partial(video_frames, path), whole)
        for path in videos(root)
    ]
    for folder in folders(root):
        paths = pictures(folder)
        if paths:
            frames = partial(picture_frames, paths)
            clips.append(
                SourceClip(folder.name, _recording(folder.name), _rate(fps, folder), frames, whole)
            )
    clips += [
        SourceClip(path.stem, _recording(path.stem), _rate(fps, path), partial(_strip_frames, path), whole)
        for path in pictures(root)
    ]
    if not clips:
        raise LayoutError(
            f"ted data {source}: no clips: give a folder with square mp4 files, with a folder of pictures for "
            "each clip, or with pictures of frames side by side, directly or under test/"
        )
    return clips


def whole(_: npt.NDArray[Any], width: int, height: int) -> SquareCrop:
    """Return the whole picture, which is square in this data set."""
    if width != height:
        raise LayoutError(
            f"{width}x{height} pixels: clips of TED-talks are squares around the speaker: crop them as "
            "video-preprocessing of the authors does"
        )
    return SquareCrop(0, 0, width, SIDE, _bicubic)


def _bicubic(image: Image, side: int) -> Image:
    return resize_image(image, (side, side), "bicubic")


def _recording(name: str) -> str:
    """Return the id of the video, which names begin with: `ID#person#first#last`."""
    return name.partition("#")[0]


def _rate(fps: Fraction | None, path: Path) -> Fraction:
    if fps is None:
        raise LayoutError(f"{path}: pictures state no frame rate: give --fps")
    return fps


def _video_rate(path: Path) -> Fraction:
    """Return the rate of a video; a file that is no video fails alone, when its frames are read."""
    try:
        return probe(path).fps
    except MediaError:
        return Fraction(1)


def _strip_frames(path: Path) -> Iterator[Image]:
    """Cut a picture of square frames side by side, as the authors store reconstructions."""
    strip = read_image(path)
    height, width = strip.shape[:2]
    if width % height:
        raise LayoutError(f"{path}: {width}x{height} pixels: not a row of square frames: give whole frames")
    for left in range(0, width, height):
        yield np.ascontiguousarray(strip[:, left : left + height])


LAYOUT = Layout("ted", "ted-mraa@1", "TED-talks clips at 384x384", find)
