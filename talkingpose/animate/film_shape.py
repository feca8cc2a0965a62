"""Size of the film: the shape of the portrait inside it, and the sizes that a model makes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from talkingpose.animate.model_choice import WARP
from talkingpose.io.documents import read_json
from talkingpose.io.errors import UserError
from talkingpose.io.image import Image
from talkingpose.model.checkpoint_folder import checkpoint_folder

# Longest side of a film of warp without --size, and the largest that --size may ask for.
_WARP_LONGEST, _WARP_LARGEST, _WARP_SMALLEST = 1024, 2048, 64
# A diffusion model repeats bodies far above the size of its training, and loses faces far below.
_SMALLER, _LARGER = 0.5, 2.0
_UNETS = (
    "denoising_unet/config.json",
    "base/unet/config.json",
    "unet/config.json",
    "stable-diffusion-v1-5/unet/config.json",
    "../talkingpose/base/unet/config.json",
)
_VAES = ("vae/config.json", "sd-vae-ft-mse/config.json", "../talkingpose/vae/config.json")


class FilmSizeError(UserError):
    """A size that cannot be made; the message names the nearest."""


@dataclass(frozen=True)
class ModelSizes:
    """Sizes that a model makes.

    Attributes:
        side: longer side without --size.
        unit: width and height are multiples of it.
        smallest, largest: range of the longer side.
    """

    side: int
    unit: int
    smallest: int
    largest: int


@dataclass(frozen=True)
class FilmShape:
    """Size of a film, and of the picture inside it; bars fill the rest.

    Attributes:
        width, height: of the film.
        inner_width, inner_height: of the picture that the model makes, centred.
    """

    width: int
    height: int
    inner_width: int
    inner_height: int

    @property
    def has_bars(self) -> bool:
        """True if the picture does not fill the film."""
        return (self.width, self.height) != (self.inner_width, self.inner_height)

    def framed(self, picture: Image) -> Image:
        """Return a picture of the inner size with black bars to the size of the film."""
        return letterbox(picture, self.width, self.height) if self.has_bars else picture


def letterbox(picture: Image, width: int, height: int) -> Image:
    """Return a picture, uint8 (H, W, 3), centred on black of a size that is not smaller."""
    inner_height, inner_width = picture.shape[:2]
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = picture
    return canvas


def letterbox_to_aspect(picture: Image, aspect: float) -> Image:
    """Return a picture with black bars that give it an aspect (width over height)."""
    height, width = picture.shape[:2]
    if width / height < aspect:
        return letterbox(picture, round(height * aspect), height)
    return letterbox(picture, width, max(height, round(width / aspect)))


def parse_size(text: str) -> tuple[int, int]:
    """Return width and height of `WxH`.

    Raises:
        FilmSizeError: something else.
    """
    match = re.fullmatch(r"\s*(\d{1,5})\s*[xX*]\s*(\d{1,5})\s*", text)
    if match is None or "0" in match.groups():
        raise FilmSizeError(f"--size {text}: give width and height, such as 512x512")
    return int(match[1]), int(match[2])


def model_sizes(model: str) -> ModelSizes:
    """Return the sizes that a model makes, from its configuration; no weights are read.

    Args:
        model: warp, or as for `checkpoint_folder`.

    Raises:
        CheckpointError: there is no such model.
    """
    if model == WARP:
        return ModelSizes(_WARP_LONGEST, 2, _WARP_SMALLEST, _WARP_LARGEST)
    folder = checkpoint_folder(model)
    sample, levels = _config(folder, _UNETS).get("sample_size"), _config(folder, _VAES)
    unit = 2 ** (len(levels.get("block_out_channels", [0] * 4)) - 1)
    side = (sample if isinstance(sample, int) else 64) * unit
    return ModelSizes(side, unit, round(_SMALLER * side), round(_LARGER * side))


def check_size(requested: tuple[int, int] | None, sizes: ModelSizes) -> None:
    """Check a requested size.

    Raises:
        FilmSizeError: the model does not make it.
    """
    if requested is None:
        return
    nearest = nearest_size(requested, sizes)
    if nearest != requested:
        raise FilmSizeError(
            f"--size {requested[0]}x{requested[1]}: this model makes multiples of {sizes.unit}, the longer "
            f"side from {sizes.smallest} to {sizes.largest}: the nearest is {nearest[0]}x{nearest[1]}"
        )


def film_shape(
    aspect: float, sizes: ModelSizes, requested: tuple[int, int] | None, native: tuple[int, int]
) -> FilmShape:
    """Return the size of a film.

    Args:
        aspect: width over height of the portrait.
        sizes: of the model.
        requested: checked width and height, None for the size `native`.
        native: size without bars, as the model makes it for this portrait.

    """
    if requested is None:
        return FilmShape(*native, *native)
    width, height = requested
    inner = [width, height]
    if aspect > width / height:
        inner[1] = _rounded(width / aspect, sizes.unit, height)
    else:
        inner[0] = _rounded(height * aspect, sizes.unit, width)
    return FilmShape(width, height, *inner)


def nearest_size(size: tuple[int, int], sizes: ModelSizes) -> tuple[int, int]:
    """Return the size of the same shape, or nearly, that a model makes."""
    longer = max(size)
    scale = min(max(longer, sizes.smallest), sizes.largest) / longer
    width, height = (_rounded(side * scale, sizes.unit, sizes.largest) for side in size)
    return width, height


def warp_size(portrait: Image) -> tuple[int, int]:
    """Return the size (width, height) of a film of warp: the portrait's, at most 1024, in even numbers."""
    height, width = portrait.shape[:2]
    scale = min(1.0, _WARP_LONGEST / max(height, width))
    even_width, even_height = (max(2, int(side * scale) // 2 * 2) for side in (width, height))
    return even_width, even_height


def _rounded(side: float, unit: int, most: int) -> int:
    return max(unit, min(round(side / unit) * unit, most // unit * unit))


def _config(folder: Path, places: tuple[str, ...]) -> Mapping[str, Any]:
    for place in places:
        if (folder / place).is_file():
            content = read_json(folder / place, "checkpoint")
            return content if isinstance(content, dict) else {}
    return {}
