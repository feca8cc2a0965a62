"""Filling of holes in a picture from the pixels around them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image

_SMALLEST = 2
# Longer side at which edges are continued: a hole behind a person is wide, and its inside is never seen.
_EDGE_SIDE = 256
_EDGE_RADIUS = 3


def fill(picture: Image, known: npt.NDArray[np.float32]) -> Image:
    """Fill the unknown part of a picture smoothly.

    Colours are averaged down a pyramid, weighted by what is known, and taken up again where nothing is.

    Args:
        picture: uint8 (H, W, 3).
        known: float32 (H, W) in [0, 1], 1 for a known pixel.

    Returns:
        uint8 (H, W, 3): `picture` where `known` is 1.

    Source:
        Gortler et al., The Lumigraph, SIGGRAPH 1996: pull-push.
    """
    weight = known.astype(np.float32)
    filled = _pull_push(picture.astype(np.float32) * weight[..., None], weight)
    mixed = picture * weight[..., None] + filled * (1 - weight[..., None])
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def continue_edges(picture: Image, hole: npt.NDArray[np.float32]) -> Image:
    """Fill a hole so that edges which meet it run on into it.

    Args:
        picture: uint8 (H, W, 3).
        hole: float32 (H, W), 1 in the hole, 0 elsewhere.

    Returns:
        uint8 (H, W, 3): `picture` where `hole` is 0.

    Source:
        Telea, Journal of Graphics Tools 9 (2004).
    """
    height, width = hole.shape
    scale = min(1.0, _EDGE_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    unknown = (cv2.resize(hole, size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    if unknown.all():
        return fill(picture, 1 - hole)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    filled = cv2.inpaint(small, unknown, _EDGE_RADIUS, cv2.INPAINT_TELEA)
    large = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
    # The seam lies inside the hole: what is known is not touched.
    soft = np.clip(2 * cv2.GaussianBlur(hole, (0, 0), max(0.6, 0.5 / scale)) - 1, 0, 1)[..., None]
    return np.asarray(np.rint(picture * (1 - soft) + large * soft), np.uint8)


def _pull_push(weighted: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return colours for all pixels from weighted colours (H, W, 3) and their weights (H, W)."""
    height, width = weight.shape
    if min(height, width) <= _SMALLEST:
        total = max(float(weight.sum()), 1e-6)
        mean = weighted.sum(axis=(0, 1)) / total
        coarse = np.broadcast_to(mean.astype(np.float32), weighted.shape)
    else:
        size = ((width + 1) // 2, (height + 1) // 2)
        small = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
        small_weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        # A pixel that is known in part counts in full one level up, so that the nearest colours win.
        gain = np.minimum(1, 4 * small_weight) / np.maximum(small_weight, 1e-6)
        below = _pull_push(small * gain[..., None], small_weight * gain)
        coarse = cv2.resize(below, (width, height), interpolation=cv2.INTER_LINEAR)
    colours = weighted + coarse * (1 - weight[..., None])
    return np.asarray(colours, np.float32)
