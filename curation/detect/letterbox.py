"""Bars around a picture: letterbox, pillarbox, or both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.detect.measurements import WHOLE, Box

# Levels of 255 by which a bar of one colour differs from itself after encoding.
_EVEN = 6
# Pixels between those that are looked at along a line.
_STEP = 4
# Thinner bars, as shares of a side, are the edge of a lens or of an encoder.
_LEAST = 0.01


def inside_letterbox(luma: npt.NDArray[np.uint8]) -> Box:
    """What lies inside bars of one even colour; the whole picture where there are none.

    A bar is a run of lines from an edge on in which no pixel differs from the picture's corner. What is as
    even as a bar, such as a black curtain, is taken for one.

    Args:
        luma: uint8 (H, W).
    """
    height, width = luma.shape
    corner = int(np.median(luma[: max(height // 100, 1), : max(width // 100, 1)]))
    rows = _run(luma[:, ::_STEP], corner)
    if rows is None:
        return WHOLE
    top, bottom = rows
    columns = _run(luma[top : height - bottom : _STEP].T, corner)
    left, right = columns or (0, 0)
    edges = [
        edge if edge >= _LEAST * side else 0 for edge, side in _with_sides(left, top, right, bottom, luma)
    ]
    return Box(edges[0] / width, edges[1] / height, 1 - edges[2] / width, 1 - edges[3] / height)


def _with_sides(
    left: int, top: int, right: int, bottom: int, luma: npt.NDArray[np.uint8]
) -> list[tuple[int, int]]:
    height, width = luma.shape
    return [(left, width), (top, height), (right, width), (bottom, height)]


def _run(lines: npt.NDArray[np.uint8], level: int) -> tuple[int, int] | None:
    """How many lines are even at the start and at the end; None where all are."""
    uneven = (lines.max(axis=1).astype(int) > level + _EVEN) | (lines.min(axis=1).astype(int) < level - _EVEN)
    found = np.flatnonzero(uneven)
    return (int(found[0]), int(len(lines) - 1 - found[-1])) if found.size else None
