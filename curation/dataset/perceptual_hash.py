"""Perceptual hashes of footage, ten a second, to find the same footage in another source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from curation.detect.measurements import Box, Keypoints
from talkingpose.io.image import Image
from talkingpose.pose.keypoints import FACE

# Two copies are compared at times that differ by up to half of this interval. In footage of people who speak
# and move their hands, 0.05 s changes 1 to 4 % of the bits, 0.1 s up to 7 %.
_INTERVAL_S = 0.1
_SIDE = 16  # a hash has _SIDE * _SIDE bits
_PIXELS = 4 * _SIDE  # side of the picture that ImageHash reads
# Half the side of the square around a face, in standard deviations of its landmarks: head and neck.
_FACE_REACH = 4.0


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


def person_hash(image: Image, keypoints: Keypoints) -> str | None:
    """Compute the perceptual hash of the square around a face, in hex; None where it leaves the picture.

    The square follows the spread of the face's landmarks: it is the same in a cropped or reduced copy.

    Args:
        image: uint8 (H, W, 3) RGB.
        keypoints: (133, 3), normalised.
    """
    face = keypoints[FACE]
    if not (face[:, 2] > 0).all():
        return None
    height, width = image.shape[:2]
    points = face[:, :2].astype(np.float64) * (width, height)
    x, y = points.mean(axis=0)
    reach = _FACE_REACH * float(points.std(axis=0).mean())
    box = np.array([x - reach, y - reach, x + reach, y + reach]) / (width, height, width, height)
    if box.min() < 0 or box.max() > 1 or reach < _SIDE:
        return None
    return perceptual_hash(image, Box(*map(float, box)))


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
    for image, due in zip(frames, due_frames(times), strict=False):
        if due:
            hashes.append(perceptual_hash(image, picture))
        yield image


def due_frames(times: Iterable[float]) -> Iterator[bool]:
    """Yield for every time whether its frame is hashed: ten a second."""
    due: float | None = None
    for time in times:
        if due is not None and time < due - 1e-6:
            yield False
            continue
        due = time if due is None else due
        due += _INTERVAL_S * (1 + (time - due + 1e-6) // _INTERVAL_S)
        yield True


class PersonHashes:
    """Hashes of the person in ten frames a second; a frame without a whole face repeats the one before.

    Args:
        times: of all frames, in seconds.
    """

    def __init__(self, times: Iterable[float]) -> None:
        self.hashes: list[str] = []
        self._due = due_frames(times)

    def add(self, image: Image, keypoints: Keypoints) -> None:
        """Receive the next frame and its keypoints."""
        if not next(self._due, False):
            return
        found = person_hash(image, keypoints)
        if found is None and self.hashes:
            found = self.hashes[-1]
        if found is not None:
            self.hashes.append(found)
