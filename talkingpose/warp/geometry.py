"""Affine transforms of the plane, float64 (2, 3), and their fits to points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Affine = npt.NDArray[np.float64]

IDENTITY: Affine = np.eye(2, 3)
# Squared length in pixels below which a direction is undefined.
_TINY = 1e-6


def apply(transform: Affine, points: Points) -> Points:
    """Transform points (..., 2)."""
    return np.asarray(points @ transform[:, :2].T + transform[:, 2])


def compose(second: Affine, first: Affine) -> Affine:
    """Return the transform that applies `first`, then `second`."""
    linear = second[:, :2] @ first[:, :2]
    return np.column_stack([linear, apply(second, first[:, 2])])


def invert(transform: Affine) -> Affine:
    """Return the inverse of an invertible transform."""
    inverse = np.linalg.inv(transform[:, :2])
    return np.column_stack([inverse, -inverse @ transform[:, 2]])


def about(linear: npt.NDArray[np.float64], source: Points, target: Points) -> Affine:
    """Return the transform with a linear part (2, 2) that moves the point `source` to `target`."""
    return np.column_stack([linear, target - linear @ source])


def rotation(angle: float) -> npt.NDArray[np.float64]:
    """Return the matrix (2, 2) of a rotation by an angle in radians, from x towards y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def fit_similarity(
    source: Points, target: Points, scale_range: tuple[float, float] = (0.0, np.inf)
) -> Affine:
    """Fit a similarity transform, without reflection, in the least-squares sense.

    Args:
        source, target: (N, 2), N > 0. One point gives a translation.
        scale_range: the scale is clipped to it.

    Source:
        Umeyama, IEEE TPAMI 13 (1991), in two dimensions.
    """
    centre, moved = source.mean(axis=0), target.mean(axis=0)
    a, b = source - centre, target - moved
    size = float((a * a).sum())
    if size < _TINY:
        return about(np.eye(2), centre, moved)
    along = float((a * b).sum()) / size
    across = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / size
    scale = float(np.hypot(along, across))
    if scale * scale < _TINY:
        return about(np.eye(2), centre, moved)
    clipped = float(np.clip(scale, *scale_range))
    c, s = along * clipped / scale, across * clipped / scale
    return about(np.array([[c, -s], [s, c]]), centre, moved)


def bone_transform(source: Points, target: Points, width: float, stretch: tuple[float, float]) -> Affine:
    """Return the affine transform of a limb: its length follows the bone, its width a given scale.

    Args:
        source, target: (2, 2), the two ends of the bone before and after.
        width: scale across the bone.
        stretch: range of the scale along the bone. Beyond it the limb keeps its middle.
    """
    before, after = source[1] - source[0], target[1] - target[0]
    length, reached = float(np.hypot(*before)), float(np.hypot(*after))
    if length * length < _TINY or reached * reached < _TINY:
        return about(width * np.eye(2), source.mean(axis=0), target.mean(axis=0))
    along = float(np.clip(reached / length, *stretch))
    turn = rotation(float(np.arctan2(after[1], after[0])))
    back = rotation(-float(np.arctan2(before[1], before[0])))
    return about(turn @ np.diag([along, width]) @ back, source.mean(axis=0), target.mean(axis=0))
