"""Detector of bars around a picture: letterbox, pillarbox or both."""

from __future__ import annotations

import numpy as np

from curation.detect.measurements import WHOLE, Box, Luma

# Largest deviation, in levels of 255, within a bar of one colour after encoding.
_MAX_DEVIATION = 6
# Every fourth pixel along a line is compared.
_STEP = 4
# Bars thinner than this share of a side are lens or encoder edges.
_MIN_BAR = 0.01


def inside_letterbox(luma: Luma) -> Box:
    """Return the picture inside bars of one flat colour; the whole picture if there are none.

    A bar is a run of lines from an edge in which no pixel differs from the picture's corner. Other flat
    areas, such as a black curtain, count as bars.

    Args:
        luma: uint8 (H, W).
    """
    height, width = luma.shape
    corner = int(np.median(luma[: max(height // 100, 1), : max(width // 100, 1)]))
    rows = _flat_lines(luma[:, ::_STEP], corner)
    if rows is None:
        return WHOLE
    top, bottom = rows
    left, right = _flat_lines(luma[top : height - bottom : _STEP].T, corner) or (0, 0)
    x0, x1 = (bar if bar >= _MIN_BAR * width else 0 for bar in (left, right))
    y0, y1 = (bar if bar >= _MIN_BAR * height else 0 for bar in (top, bottom))
    return Box(x0 / width, y0 / height, 1 - x1 / width, 1 - y1 / height)


def _flat_lines(lines: Luma, level: int) -> tuple[int, int] | None:
    """Number of flat lines at the start and at the end; None if all are flat."""
    varied = (lines.max(axis=1).astype(int) > level + _MAX_DEVIATION) | (
        lines.min(axis=1).astype(int) < level - _MAX_DEVIATION
    )
    found = np.flatnonzero(varied)
    return (int(found[0]), int(len(lines) - 1 - found[-1])) if found.size else None
