"""TikTok dataset (Jafarian and Park, CVPR 2021): folders `00001/images/0001.png`, prepared as DisCo does."""

from __future__ import annotations

from collections.abc import Sequence
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
)
from talkingpose.io.image import Image

SIDE = 256
# Pictures state no rate; no score of the protocol depends on it.
_FPS = Fraction(30)
_IMAGES, _PARENT = "images", "TikTok_dataset"


def find(source: Path, fps: Fraction | None) -> Sequence[SourceClip]:
    """List the sequences of a folder."""
    root = source / _PARENT if (source / _PARENT).is_dir() else source
    if (root / _IMAGES).is_dir():  # a single sequence
        sequences = [root]
    else:
        sequences = [folder for folder in folders(root) if (folder / _IMAGES).is_dir()]
    clips = []
    for folder in sequences:
        paths = pictures(folder / _IMAGES)
        if paths:
            frames = partial(picture_frames, paths)
            clips.append(SourceClip(folder.name, folder.name, fps or _FPS, frames, central_square))
    if not clips:
        raise LayoutError(
            f"tiktok data {source}: no pictures such as {source}/00001/images/0001.png: give the folder that "
            "holds the sequences"
        )
    return clips


def central_square(_: npt.NDArray[Any], width: int, height: int) -> SquareCrop:
    """Return the central square of the picture, which DisCo's evaluation crops."""
    side = min(width, height)
    # As torchvision's RandomResizedCrop rounds when the wanted ratio does not fit.
    return SquareCrop((width - side) // 2, (height - side) // 2, side, SIDE, _bilinear)


def _bilinear(image: Image, side: int) -> Image:
    """Scale with Pillow's antialiased bilinear filter, as torchvision scales pictures."""
    from PIL import Image as Pil

    return np.array(Pil.fromarray(image).resize((side, side), Pil.Resampling.BILINEAR))


LAYOUT = Layout("tiktok", "disco-tiktok@1", "TikTok sequences, central square at 256x256", find)
