"""What footage looks like ten times a second: by these hashes it is known again in another source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from curation.detect.measurements import Box

# Two copies are compared at times that differ by up to half of this interval: of people who speak and move
# their hands, a twentieth of a second changes 1 to 4 % of the bits, a tenth up to 7 %.
_INTERVAL_S = 0.1
_SIDE = 16  # bits of a hash: its square
_PIXELS = 4 * _SIDE  # of the picture that ImageHash makes one of

Image = npt.NDArray[np.uint8]


def perceptual_hash(image: Image, picture: Box) -> str:
    """Perceptual hash (ImageHash's phash, 256 bits, in hex) of what lies inside borders.

    Args:
        image: uint8 (H, W, 3) RGB.
        picture: the part inside the borders, see `Shot.picture`.
    """
    import cv2
    import imagehash
    from PIL import Image as Pictures

    height, width = image.shape[:2]
    x0, y0 = (int(edge) for edge in (picture.x0 * width, picture.y0 * height))
    x1, y1 = max(round(picture.x1 * width), x0 + 1), max(round(picture.y1 * height), y0 + 1)
    gray = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(gray, (_PIXELS, _PIXELS), interpolation=cv2.INTER_AREA), np.uint8)
    return str(imagehash.phash(Pictures.fromarray(small), hash_size=_SIDE))


def perceptual_hashes(
    frames: Iterable[Image], times: Iterable[float], picture: Box, looks: list[str]
) -> Iterator[Image]:
    """The frames as they come; ten of a second leave their hash in `looks`.

    Args:
        times: of the frames, in seconds.
    """
    due: float | None = None
    for image, time in zip(frames, times, strict=False):
        if due is None or time >= due - 1e-6:
            due = time if due is None else due
            due += _INTERVAL_S * (1 + (time - due + 1e-6) // _INTERVAL_S)
            looks.append(perceptual_hash(image, picture))
        yield image
