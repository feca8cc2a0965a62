"""Regions of the person in the portrait: which pixels belong to which limb."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.warp.geometry import Points
from talkingpose.warp.matte import Mask
from talkingpose.warp.skeleton import CHIN, EARS, HIPS, NOSE, SHOULDERS, Arm

# Radii of limbs, as shares of the body size.
_SHOULDER, _ELBOW, _FOREARM, _WRIST = 0.18, 0.15, 0.13, 0.10
_HAND_MARGIN = 0.06
# Cloth outside the torso belongs to the upper arm up to this multiple of its radius.
_LOOSE = 2.0
# In front of the torso a sleeve cannot be told from it: the upper arm is narrower there.
_TIGHT = 0.65
# Shoulders closer than this share of the body size are those of a person seen from the side.
_TURNED = 0.85


@dataclass(frozen=True)
class Bone:
    """Capsule of a limb: two ends (2, 2) in pixels and the radii at them."""

    ends: Points
    radii: tuple[float, float]

    def distance(self, grid: npt.NDArray[np.float32]) -> Mask:
        """Return the distance from the bone in radii, for pixels (H, W, 2)."""
        a, b = self.ends.astype(np.float32)
        axis = b - a
        length = float(axis @ axis)
        t = np.clip((grid - a) @ axis / length, 0, 1) if length > 0 else np.zeros(grid.shape[:2], np.float32)
        away = grid - (a + t[..., None] * axis)
        radius = self.radii[0] + t * (self.radii[1] - self.radii[0])
        return np.asarray(np.hypot(away[..., 0], away[..., 1]) / radius, np.float32)


def pixel_grid(height: int, width: int) -> npt.NDArray[np.float32]:
    """Return x and y of every pixel, (H, W, 2)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([x, y], axis=-1)


def arm_bones(points: Points, shown: npt.NDArray[np.bool_], arm: Arm, size: float) -> dict[str, Bone]:
    """Return the capsules of an arm's visible parts by name: `upper`, `fore`; empty without an elbow."""
    bones = {}
    if shown[[arm.shoulder, arm.elbow]].all() and not _is_far(points, shown, arm, size):
        # Of a person seen from the side the far arm shows little.
        side = float(np.hypot(*(points[SHOULDERS[0]] - points[SHOULDERS[1]])))
        wide = min(1.0, 0.35 * side / (_SHOULDER * size)) if shown[list(SHOULDERS)].all() else 1.0
        radii = (max(1.0, wide * _SHOULDER * size), max(1.0, wide * _ELBOW * size))
        bones["upper"] = Bone(points[[arm.shoulder, arm.elbow]], radii)
    if shown[[arm.elbow, arm.wrist]].all():
        ends = points[[arm.elbow, arm.wrist]]
        if not shown[list(arm.hand)].any():
            # The hand is not found but there: the forearm carries it.
            ends = np.stack([ends[0], ends[1] + _unit(ends[1] - ends[0]) * 0.35 * size])
        bones["fore"] = Bone(ends, (_FOREARM * size, _WRIST * size))
    return bones


def _is_far(points: Points, shown: npt.NDArray[np.bool_], arm: Arm, size: float) -> bool:
    """Return True for the far arm of a person seen from the side, whose sleeve lies before the chest."""
    if not shown[[*SHOULDERS, NOSE, *EARS]].all():
        return False
    side = points[SHOULDERS[0]] - points[SHOULDERS[1]]
    if float(np.hypot(*side)) > _TURNED * size:
        return False
    outward = points[arm.shoulder] - points[list(SHOULDERS)].mean(axis=0)
    return float(outward @ (points[NOSE] - points[list(EARS)].mean(axis=0))) > 0


def hand_region(
    points: Points, shown: npt.NDArray[np.bool_], arm: Arm, size: float, shape: tuple[int, int]
) -> Mask | None:
    """Return the region of a hand, 0 or 1; None if the portrait does not show it."""
    rows = [row for row in arm.hand if shown[row]]
    if len(rows) < 5:
        return None
    mask = np.zeros(shape, np.uint8)
    hull = cv2.convexHull(np.rint(points[rows]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (1,))
    cv2.polylines(mask, [hull], True, (1,), max(1, round(2 * _HAND_MARGIN * size)), cv2.LINE_8)
    return mask.astype(np.float32)


def torso_region(points: Points, shown: npt.NDArray[np.bool_], size: float, shape: tuple[int, int]) -> Mask:
    """Return the region that torso and head cover behind the arms, 0 or 1."""
    mask = np.zeros(shape, np.uint8)
    if shown[list(SHOULDERS)].all():
        left, right = points[SHOULDERS[0]], points[SHOULDERS[1]]
        neck = (left + right) / 2
        if shown[list(HIPS)].all():
            hips = points[list(HIPS)]
            down = hips.mean(axis=0) - neck
            half = (hips[0] - hips[1]) * 0.65
        else:
            down = np.array([0.0, 1.5 * size])
            half = (left - right) * 0.45
        # Below the hips the outline goes straight on, out of the picture.
        bottom = neck + down * max(1.0, 1.0 + shape[0] / max(1.0, abs(float(down[1]))))
        hips_left, hips_right = neck + down + half, neck + down - half
        outline = np.stack([left, hips_left, bottom + half, bottom - half, hips_right, right])
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], (1,))
        if shown[NOSE]:
            nose = points[NOSE]
            cv2.line(mask, _pixel(neck), _pixel(nose), (1,), max(1, round(0.45 * size)))
            radius = 0.33 * size
            if shown[CHIN]:
                radius = max(radius, 1.1 * float(np.hypot(*(points[CHIN] - nose))))
            cv2.circle(mask, _pixel(nose), round(radius), (1,), -1)
    return mask.astype(np.float32)


def limb_distances(bones: dict[str, Bone], grid: npt.NDArray[np.float32], torso: Mask) -> dict[str, Mask]:
    """Return the distance of each pixel from each bone in radii; sleeves beyond the torso are wider."""
    distances = {name: bone.distance(grid) for name, bone in bones.items()}
    if "upper" in distances:
        distances["upper"] = distances["upper"] / np.where(torso > 0, np.float32(_TIGHT), np.float32(_LOOSE))
    return distances


def refined(portrait: Image, region: Mask, core: Mask, reach: float) -> Mask:
    """Move the border of a region to where the colours change.

    Args:
        portrait: uint8 RGB (H, W, 3).
        region, core: 0 or 1, (H, W): the region as guessed, and what is certainly in it.
        reach: the result lies within this many pixels of the region.

    Source:
        Rother et al., GrabCut, SIGGRAPH 2004.
    """
    radius = max(1, round(reach))
    ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    near = cv2.dilate(region, ring)
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    top, left = max(0, rows[0] - 3 * radius), max(0, columns[0] - 3 * radius)
    box = (slice(top, rows[-1] + 3 * radius), slice(left, columns[-1] + 3 * radius))
    labels = np.full(region[box].shape, cv2.GC_BGD, np.uint8)
    labels[near[box] > 0] = cv2.GC_PR_BGD
    labels[region[box] > 0] = cv2.GC_PR_FGD
    labels[core[box] > 0] = cv2.GC_FGD
    if not (labels == cv2.GC_FGD).any() or not (labels == cv2.GC_BGD).any():
        return region
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    colours = np.ascontiguousarray(portrait[box])
    cv2.grabCut(colours, labels, None, *models, 3, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    found = np.zeros_like(region)
    found[box] = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return found


def _unit(vector: Points) -> Points:
    return np.asarray(vector / max(float(np.hypot(*vector)), 1e-6))


def _pixel(point: Points) -> tuple[int, int]:
    x, y = np.rint(point).astype(int)
    return int(x), int(y)
