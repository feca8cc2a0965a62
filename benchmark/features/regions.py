"""Face, hands and background of a real frame, as masks drawn from the dataset's keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.features.contract import FeatureSpec, FrameWindow, Keypoints, Side
from talkingpose.io.image import Image
from talkingpose.pose import BODY, FACE, LEFT_HAND, RIGHT_HAND

Region = Literal["face", "hands", "background"]
REGIONS: tuple[Region, ...] = ("face", "hands", "background")
REGION_BLIND_SPOTS = (
    "frames in which the dataset has no such keypoints; anything that a contestant paints outside the region "
    "of the real frame, such as a hand in a wrong place"
)

Mask = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

# Points below this confidence are ignored.
_CONFIDENCE = 0.3
# Share of the points of a face or hand that a hull needs.
_SHARE = 0.5
_MIN_PIXELS = 64
# Of the diagonal of a hand's bounding box.
_HAND_MARGIN = 0.1
_HEAD_SCALE = 2.0
# Of the shoulder width.
_LIMB, _MARGIN = 0.4, 0.15
_SHOULDERS, _ARMS = (5, 6), ((5, 7), (7, 9), (6, 8), (8, 10))


@dataclass(frozen=True)
class Area:
    """A region within its bounding box.

    Attributes:
        rows, columns: bounding box in the frame.
        mask: uint8, 0 or 255, of the shape of the box; None where every pixel belongs to the region.
        pixels: number of pixels of the region.
    """

    rows: slice
    columns: slice
    mask: Mask | None
    pixels: int

    def crop(self, image: Image) -> Image:
        """Return the pixels of the bounding box."""
        return image[self.rows, self.columns]


class RegionMasks:
    """Regions of the real frame, from the keypoints of the dataset."""

    spec = FeatureSpec(
        id="regions",
        version=1,
        definition=(
            "Masks from the dataset's keypoints of the real frame; points below a confidence of 0.3 are "
            "ignored. Face: convex hull of its 68 points. Hands: convex hull of the 21 points of each hand, "
            "widened by a tenth of the diagonal of its bounding box. A hull needs half of its points and 64 "
            "pixels. Background: every pixel outside hands, head (hull of the face, scaled by two about its "
            "centre), torso (from the shoulders to the lower edge of the frame) and arms (lines 0.4 shoulder "
            "widths thick); head, torso and arms are widened by 0.15 shoulder widths. The background needs "
            "both shoulders."
        ),
    )

    def extract(self, window: FrameWindow, side: Side, back: int) -> dict[Region, Area]:
        """Return the regions of the frame, which are the same for both sides of a pair."""
        height, width = window.image(side, back).shape[:2]
        return regions(window.keypoints(back), height, width)


def area_of(window: FrameWindow, region: Region | None) -> Area | None:
    """Return a region of the newest real frame, None where it has no such region; of None the whole frame."""
    if region is None:
        height, width = window.real().shape[:2]
        return Area(slice(None), slice(None), None, height * width)
    found: dict[Region, Area] = window.feature("regions", "real")
    return found.get(region)


def regions(keypoints: Keypoints, height: int, width: int) -> dict[Region, Area]:
    """Return the regions of a frame that its keypoints show.

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
    """Return the convex hull of the confident points, None where they are too few."""
    import cv2

    if seen.sum() < _SHARE * len(points):
        return None
    return np.asarray(cv2.convexHull(points[seen].astype(np.float32))[:, 0], dtype=np.float64)


def _person(
    body: Points, seen: npt.NDArray[np.bool_], face: Points | None, height: int, width: int
) -> Mask | None:
    """Return the mask of head, torso and arms, None without both shoulders."""
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
    """Fill a convex polygon and widen it by `margin` pixels, by a thick outline."""
    import cv2

    corners = np.rint(polygon).astype(np.int32)
    cv2.fillConvexPoly(mask, corners, (255,))
    if margin >= 0.5:
        cv2.polylines(mask, [corners], isClosed=True, color=(255,), thickness=2 * round(margin) + 1)


def _area(mask: Mask) -> Area | None:
    import cv2

    pixels = cv2.countNonZero(mask)
    if pixels < _MIN_PIXELS:
        return None
    x, y, width, height = cv2.boundingRect(mask)
    rows, columns = slice(y, y + height), slice(x, x + width)
    return Area(rows, columns, np.ascontiguousarray(mask[rows, columns]), pixels)
