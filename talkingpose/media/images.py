"""Pictures in and to size."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from talkingpose.media.errors import MediaError

if TYPE_CHECKING:
    from PIL import Image

Filter = Literal["lanczos", "bicubic", "area"]


def read_image(source: str | Path | bytes, *, name: str | None = None) -> npt.NDArray[np.uint8]:
    """A picture, from a path or a file's content, as uint8 (height, width, 3) RGB.

    EXIF orientation is applied. Transparent pixels are laid on white. Grey and palette pictures become RGB;
    16-bit grey keeps its upper 8 bits. Of an animation the first picture is read. `name` stands for the
    picture in messages (default: the path, or "picture of N bytes"). Raises MediaError.
    """
    from PIL import Image, ImageOps

    if name is None:
        name = f"picture of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    if isinstance(source, bytes):
        if not source:
            raise MediaError(f"{name}: the content is empty (0 bytes): give the whole file")
        file: io.BytesIO | Path = io.BytesIO(source)
    else:
        file = Path(source)
        if file.is_dir():
            raise MediaError(f"{name}: is a folder: give the path of a picture")
    try:
        with Image.open(file) as picture:
            upright = ImageOps.exif_transpose(picture)
            return np.array(_as_rgb(upright))
    except FileNotFoundError:
        raise MediaError(f"{name}: no such file: check the path") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MediaError(
            f"{name}: not a picture that can be read ({str(error).splitlines()[0]}): "
            "give a complete PNG or JPEG"
        ) from error


def resize_image(
    image: npt.NDArray[np.uint8], size: tuple[int, int], filter: Filter = "lanczos"
) -> npt.NDArray[np.uint8]:
    """`image`, uint8 (height, width, 3) or (height, width), at `size` (width, height).

    `lanczos` and `bicubic` are Pillow's, which widen with the reduction and so do not alias; `area` is
    OpenCV's INTER_AREA, the mean of what each pixel covers, meant for reduction. Raises MediaError.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise MediaError(f"picture of {image.dtype} {image.shape}: give uint8 (height, width, 3)")
    if min(size) < 1:
        raise MediaError(f"size {size[0]}x{size[1]}: ask for at least 1x1")
    if filter == "area":
        import cv2

        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if filter not in ("lanczos", "bicubic"):
        raise MediaError(f"filter {filter!r}: choose lanczos, bicubic or area")
    from PIL import Image

    kernel = Image.Resampling.LANCZOS if filter == "lanczos" else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(image).resize(size, kernel))


def _as_rgb(picture: Image.Image) -> Image.Image:
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode == "I":
        grey = (np.asarray(picture, np.uint32) >> 8).clip(0, 255)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")
