"""Inside of a mouth that is open in a frame and closed in the portrait."""

from __future__ import annotations

import cv2
import numpy as np

from talkingpose.io.image import Image
from talkingpose.warp.geometry import Points
from talkingpose.warp.resample import Field

# Opening over width of the inner lips: below the first nothing is drawn, above the second all of it.
_FAINT, _FULL = 0.06, 0.3
_OPACITY = 0.85
# Of the darkest part of the lips; the inside of a mouth is darker and red.
_TINT = np.array([0.45, 0.3, 0.3])
_SUPERSAMPLED = 4
# Landmarks within the eight inner lip points: corners, middle of the upper and of the lower lip.
_CORNERS, _UPPER, _LOWER = (0, 4), 2, 6


class Mouth:
    """Paint for the inside of the mouth, in the colours of the portrait's lips.

    Args:
        portrait: colours, uint8 (H, W, 3) or more channels.
        lips: inner lips of the portrait, (8, 2) in pixels.
    """

    def __init__(self, portrait: Image, lips: Points) -> None:
        self._opening = opening(lips)
        left, top = np.maximum(np.floor(lips.min(axis=0)).astype(int) - 1, 0)
        right, bottom = np.ceil(lips.max(axis=0)).astype(int) + 2
        around = portrait[top:bottom, left:right, :3].reshape(-1, 3)
        dark = np.percentile(around, 20, axis=0) if len(around) else np.full(3, 60.0)
        self._colour: Field = np.asarray(dark * _TINT, np.float32)

    def draw(self, frame: Image, lips: Points) -> None:
        """Paint the inside of the mouth onto a frame, in place; `lips` (8, 2) in its pixels."""
        more = opening(lips) - max(self._opening, 0.0)
        strength = _OPACITY * float(np.clip((more - _FAINT) / (_FULL - _FAINT), 0, 1))
        height, width = frame.shape[:2]
        left, top = np.maximum(np.floor(lips.min(axis=0)).astype(int) - 2, 0)
        right, bottom = np.minimum(np.ceil(lips.max(axis=0)).astype(int) + 3, (width, height))
        if strength <= 0 or left >= right or top >= bottom:
            return
        shape = (int(bottom - top) * _SUPERSAMPLED, int(right - left) * _SUPERSAMPLED)
        mask = np.zeros(shape, np.uint8)
        corners = np.rint((lips - (left, top) + 0.5) * _SUPERSAMPLED).astype(np.int32)
        cv2.fillPoly(mask, [corners], (255,))
        small = cv2.resize(mask, (int(right - left), int(bottom - top)), interpolation=cv2.INTER_AREA)
        alpha = cv2.GaussianBlur(small, (0, 0), 0.8)[..., None].astype(np.float32) * (strength / 255)
        box = frame[top:bottom, left:right]
        box[...] = np.rint(box * (1 - alpha) + self._colour * alpha)


def opening(lips: Points) -> float:
    """Return the opening of the inner lips (8, 2) over their width."""
    width = float(np.hypot(*(lips[_CORNERS[1]] - lips[_CORNERS[0]])))
    return float(np.hypot(*(lips[_LOWER] - lips[_UPPER]))) / max(width, 1e-6)
