"""Perceptual hashes of footage, ten a second, to find the same footage in another source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from curation.detect.measurements import Box
from talkingpose.io.image import Image

# Two copies are compared at times that differ by up to half of this interval. In footage of people who speak
# and move their hands, 0.05 s changes 1 to 4 % of the bits, 0.1 s up to 7 %.
_INTERVAL_S = 0.1
_SIDE = 16  # a hash has _SIDE * _SIDE bits
_PIXELS = 4 * _SIDE  # side of the picture that ImageHash reads


def perceptual_hash(image: Image, picture: Box) -> str:
    """Compute the perceptual hash (ImageHash's phash, 256 bits, in hex) of the picture inside borders.

    Args:
        image: uint8 (H, W, 3) RGB.
        picture: part inside the borders, see `Shot.picture`.
    """
    import cv2
    import imagehash
    from PIL import Image as PillowImage

    height, width = image.shape[:2]
    x0, y0 = (int(edge) for edge in (picture.x0 * width, picture.y0 * height))
    x1, y1 = max(round(picture.x1 * width), x0 + 1), max(round(picture.y1 * height), y0 + 1)
    gray = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(gray, (_PIXELS, _PIXELS), interpolation=cv2.INTER_AREA), np.uint8)
    return str(imagehash.phash(PillowImage.fromarray(small), hash_size=_SIDE))


def perceptual_hashes(
    frames: Iterable[Image], times: Iterable[float], picture: Box, hashes: list[str]
) -> Iterator[Image]:
    """Pass frames on, and append the hashes of ten frames a second to `hashes`.

    Args:
        frames: uint8 (H, W, 3) RGB.
        times: of the frames, in seconds.
        picture: part inside the borders.
        hashes: receives the hashes, in hex.
    """
    due: float | None = None
    for image, time in zip(frames, times, strict=False):
        if due is None or time >= due - 1e-6:
            due = time if due is None else due
            due += _INTERVAL_S * (1 + (time - due + 1e-6) // _INTERVAL_S)
            hashes.append(perceptual_hash(image, picture))
        yield image
