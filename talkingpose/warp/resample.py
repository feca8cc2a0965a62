"""Resampling of pictures and fields, with types where OpenCV has none."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.warp.geometry import Affine

Field = npt.NDArray[np.float32]


def warp_image(image: Image, transform: Affine, size: tuple[int, int]) -> Image:
    """Return a picture of `size` (width, height) under an affine transform; 0 outside."""
    return np.asarray(cv2.warpAffine(image, transform, size), np.uint8)


def look_up(image: Image, where: Field) -> Image:
    """Return the colours of a picture at x and y (h, w, 2), interpolated; outside those of the edge."""
    return np.asarray(
        cv2.remap(image, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def sample(field: Field, where: Field, *, replicate: bool = False) -> Field:
    """Return the values of a field at x and y (h, w, 2), interpolated; outside 0 or those of the edge."""
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
    values = cv2.remap(field, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(values, np.float32)


def lattice(left: float, top: float, right: float, bottom: float, step: float) -> Field:
    """Return x and y of the nodes of a lattice that covers a box, (h, w, 2)."""
    x = left + step * np.arange(int(np.ceil((right - left) / step)) + 2)
    y = top + step * np.arange(int(np.ceil((bottom - top) / step)) + 2)
    nodes = np.stack(np.meshgrid(x, y), axis=-1)
    return np.asarray(nodes, np.float32)


def from_lattice(nodes: Field, step: float, size: tuple[int, int]) -> Field:
    """Return a field of `size` (width, height) from its values at the nodes of a lattice."""
    scale = np.array([[1 / step, 0, 0], [0, 1 / step, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(nodes, scale, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
