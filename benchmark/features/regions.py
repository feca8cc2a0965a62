"""Face, hands and background of a real frame, as masks drawn from the dataset's keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from benchmark.features.feature import FeatureSpec
from talkingpose.pose import BODY, FACE, LEFT_HAND, RIGHT_HAND

if TYPE_CHECKING:
    from benchmark.metrics.window import Keypoints, PairWindow, Side

Region = Literal["face", "hands", "background"]
REGIONS: tuple[Region, ...] = ("face", "hands", "background")

Mask = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

_CONFIDENCE = 0.3
# A hull of fewer points than half a face or hand is no region of it.
_SHARE = 0.5
_MIN_PIXELS = 64
_HAND_MARGIN = 0.1
_HEAD_SCALE = 2.0
_LIMB, _MARGIN = 0.4, 0.15
_SHOULDERS, _ARMS = (5, 6), ((5, 7), (7, 9), (6, 8), (8, 10))


@dataclass(frozen=True)
class Area:
    """A region in its bounding box: rows and columns of the frame, and a uint8 mask of 0 and 255 there."""

    rows: slice
    columns: slice
    mask: Mask
    pixels: int


class RegionMasks:
    """Masks from keypoints."""

    spec = FeatureSpec(
        id="regions",
        version=1,
        definition=(
            "Masks from the dataset's keypoints of the real frame, points of confidence 0.3 and more. Face: "
            "convex hull of its 68 points. Hands: convex hull of each hand's 21 points, widened by a tenth "
            "of the diagonal of its bounding box. A hull needs half of its points and 64 pixels. Background: "
            "what is left when hands, head (the hull of the face, twice as large about its middle), torso "
            "(from the shoulders to the lower edge of the frame) and arms (lines 0.4 shoulder widths thick) "
            "are taken away, the last three widened by 0.15 shoulder widths; it needs both shoulders."
        ),
    )

    def extract(self, window: PairWindow, side: Side, back: int) -> dict[Region, Area]:
        """The regions that this frame has; the same for both sides of a pair."""
        height, width = window.image(side, back).shape[:2]
        return regions(window.keypoints(back), height, width)


def regions(keypoints: Keypoints, height: int, width: int) -> dict[Region, Area]:
    """The regions of a frame; one that cannot be told is left out.

    Args:
        keypoints: float32 (133, 3), x, y in [0, 1] of the frame, confidence.
        height, width: of the frame in pixels.
    """
    pixels = keypoints[:, :2].astype(np.float64) * (width, height) - 0.5
    seen = keypoints[:, 2] >= _CONFIDENCE
    face = _hull(pixels[FACE], seen[FACE])
    hands = [
        hull for part in (LEFT_HAND, RIGHT_HAND) if (hull := _hull(pixels[part], seen[part])) is not None
    ]
    found: dict[Region, Mask] = {}
    if face is not None:
        found["face"] = _empty(height, width)
        _draw(found["face"], face, 0)
    if hands:
        found["hands"] = _empty(height, width)
        for hand in hands:
            _draw(found["hands"], hand, _HAND_MARGIN * float(np.hypot(*np.ptp(hand, axis=0))))
    person = _person(pixels[BODY], seen[BODY], face, height, width)
    if person is not None:
        found["background"] = ~(person | found["hands"] if hands else person)
    areas = {name: _area(mask) for name, mask in found.items()}
    return {name: area for name, area in areas.items() if area is not None}


def _hull(points: Points, seen: npt.NDArray[np.bool_]) -> Points | None:
    """Convex hull of the points that are seen, None where they are too few."""
    import cv2

    if seen.sum() < _SHARE * len(points):
        return None
    return np.asarray(cv2.convexHull(points[seen].astype(np.float32))[:, 0], dtype=np.float64)


def _person(
    body: Points, seen: npt.NDArray[np.bool_], face: Points | None, height: int, width: int
) -> Mask | None:

    if not seen[list(_SHOULDERS)].all():
        return None
    left, right = body[list(_SHOULDERS)]
    shoulder_width = float(np.hypot(*(left - right)))
    margin = _MARGIN * shoulder_width
    mask = _empty(height, width)
    _draw(mask, np.array([left, right, (right[0], height), (left[0], height)]), margin)
    for start, end in _ARMS:
        if seen[start] and seen[end]:
            _draw(mask, body[[start, end]], _LIMB * shoulder_width / 2 + margin)
    if face is not None:
        middle = face.mean(axis=0)
        _draw(mask, middle + _HEAD_SCALE * (face - middle), margin)
    return mask


def _empty(height: int, width: int) -> Mask:
    return np.zeros((height, width), np.uint8)


def _draw(mask: Mask, polygon: Points, margin: float) -> None:
    """Fill a convex polygon grown by `margin` pixels in every direction, by a thick outline."""
    import cv2

    corners = np.rint(polygon).astype(np.int32)
    cv2.fillConvexPoly(mask, corners, 255)
    if margin >= 0.5:
        cv2.polylines(mask, [corners], isClosed=True, color=255, thickness=2 * round(margin) + 1)


def _area(mask: Mask) -> Area | None:
    import cv2

    pixels = cv2.countNonZero(mask)
    if pixels < _MIN_PIXELS:
        return None
    x, y, width, height = cv2.boundingRect(mask)
    rows, columns = slice(y, y + height), slice(x, x + width)
    return Area(rows, columns, np.ascontiguousarray(mask[rows, columns]), pixels)
