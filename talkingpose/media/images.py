"""Reading and scaling of pictures."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from talkingpose.io.documents import DocumentError, read_bytes
from talkingpose.io.image import Image
from talkingpose.media.errors import MediaError

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Filter = Literal["lanczos", "bicubic", "area"]

# Formats of strangers' files; others, such as EPS, start external programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_MAX_PIXELS = 64_000_000
_MAX_BYTES = 256 << 20


def read_image(source: str | Path | bytes, *, name: str | None = None) -> Image:
    """Read a picture as uint8 RGB (height, width, 3).

    The EXIF orientation is applied. Transparent pixels are blended with white. Grey and palette pictures are
    converted to RGB; 16-bit grey keeps its upper 8 bits. Only the first frame of an animation is read. HEIC
    needs the package pillow-heif.

    Args:
        source: path of a regular file, or its content.
        name: name of the picture in messages; by default the path, or "picture of N bytes".

    Raises:
        MediaError: the file cannot be read, has more than 64 megapixels or 256 MB, or pillow-heif is missing.
    """
    from PIL import Image as Pil
    from PIL import ImageOps

    if name is None:
        name = f"picture of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    try:
        content = source if isinstance(source, bytes) else read_bytes(Path(source), "picture", _MAX_BYTES)
    except DocumentError as error:
        raise MediaError(str(error)) from error
    if not content:
        raise MediaError(f"{name}: the content is empty (0 bytes): give the whole file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pil.DecompressionBombWarning)
            picture = Pil.open(io.BytesIO(content), formats=(*_FORMATS, *_heif(content, name)))
        with picture:
            if picture.width * picture.height > _MAX_PIXELS:
                size = f"{picture.width}x{picture.height}"
                raise MediaError(f"{name}: {size} pixels: give at most {_MAX_PIXELS // 10**6} megapixels")
            return np.array(_as_rgb(ImageOps.exif_transpose(picture)))
    except MediaError as error:
        raise MediaError(str(error) if name in str(error) else f"{name}: {error}") from error
    except (OSError, ValueError, SyntaxError, Pil.DecompressionBombError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise MediaError(f"{name}: not a readable picture ({reason}): give a complete PNG or JPEG") from error


def resize_image(
    image: npt.NDArray[np.uint8], size: tuple[int, int], filter: Filter = "lanczos"
) -> npt.NDArray[np.uint8]:
    """Scale an image.

    Args:
        image: uint8 (height, width, 3) or (height, width).
        size: new width and height.
        filter: `lanczos` and `bicubic` are Pillow's, antialiased; `area` is OpenCV's INTER_AREA.

    Raises:
        MediaError: not such an image, or an invalid size or filter.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise MediaError(f"picture of {image.dtype} {image.shape}: give uint8 (height, width, 3)")
    if min(size) < 1:
        raise MediaError(f"size {size[0]}x{size[1]}: give at least 1x1")
    if filter == "area":
        import cv2

        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if filter not in ("lanczos", "bicubic"):
        raise MediaError(f"filter {filter!r}: choose lanczos, bicubic or area")
    from PIL import Image as Pil

    kernel = Pil.Resampling.LANCZOS if filter == "lanczos" else Pil.Resampling.BICUBIC
    return np.array(Pil.fromarray(image).resize(size, kernel))


def _heif(content: bytes, name: str) -> tuple[str, ...]:
    """Return the format of a HEIF file, after its reader is registered; none for another file.

    Raises:
        MediaError: pillow-heif is not installed.
    """
    if content[4:8] != b"ftyp" or content[8:12] not in _HEIF_BRANDS:
        return ()
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise MediaError(
            f"{name}: HEIC needs pillow-heif: pip install 'talkingpose[heic]', or export a JPEG or PNG"
        ) from error
    register_heif_opener(thumbnails=False)
    return ("HEIF",)


def _as_rgb(picture: PilImage) -> PilImage:
    from PIL import Image as Pil

    if picture.mode == "F":
        raise MediaError("floating-point levels: export it with 8 or 16 bits")
    if picture.mode.startswith("I;16") or picture.mode == "I":
        grey = (np.asarray(picture, np.uint32) >> 8).clip(0, 255)
        return Pil.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Pil.new("RGBA", layer.size, (255, 255, 255, 255))
        return Pil.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")
