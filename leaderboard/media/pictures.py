"""Small pictures of single frames of videos, for posters and portraits."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from talkingpose.io.image import Image
from talkingpose.media import LazyFrame, MediaError, VideoReader, resize_image

_QUALITY = 70


def save_picture(video: Path, frame: int, size: tuple[int, int], media: Path, width: int) -> str | None:
    """Save a frame of a video as a JPEG file in `media`.

    Args:
        video: of a stranger.
        frame: number of the frame, from 0; of a shorter video the last one.
        size: width and height that the run states; a video of another size is not decoded.
        media: folder of the picture.
        width: of the picture, pixels; a smaller video keeps its size.

    Returns:
        Name of the file, which comes from its content; None where the video cannot be decoded.
    """
    try:
        image = _frame(video, frame, size)
    except MediaError:
        return None
    if image is None:
        return None
    return _save(image, media, width)


def _frame(video: Path, frame: int, size: tuple[int, int]) -> Image | None:
    with VideoReader(video) as reader:
        if (reader.info.width, reader.info.height) != size:
            return None
        last: LazyFrame | None = None
        for number, shown in enumerate(reader.lazy_frames()):
            last = shown
            if number >= frame:
                break
        return None if last is None else last.image()


def _save(image: Image, media: Path, width: int) -> str:
    from PIL import Image as Pil

    if image.shape[1] > width:
        image = resize_image(image, (width, max(1, round(image.shape[0] * width / image.shape[1]))))
    buffer = io.BytesIO()
    Pil.fromarray(image).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    name = f"{hashlib.sha256(buffer.getvalue()).hexdigest()[:16]}.jpg"
    media.mkdir(exist_ok=True)
    (media / name).write_bytes(buffer.getvalue())
    return name
