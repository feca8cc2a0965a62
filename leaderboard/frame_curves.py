"""Curves of frame scores over a clip, as plain SVG paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WIDTH, HEIGHT = 1000, 200
# Points of all curves of a panel together, and the fewest of one curve.
_POINTS, _FEWEST = 4000, 60


@dataclass(frozen=True)
class FrameCurve:
    """One curve: the place of its entry on the board, and its path in a box of `WIDTH` x `HEIGHT`."""

    entry: int
    path: str


def value_range(curves: Sequence[Floats]) -> tuple[float, float] | None:
    """Return the lowest and the highest finite value; None where there is none."""
    known = [values[np.isfinite(values)] for values in curves]
    known = [values for values in known if values.size]
    if not known:
        return None
    return float(min(values.min() for values in known)), float(max(values.max() for values in known))


def curve_path(values: Floats, num_frames: int, low: float, high: float, curves: int) -> str:
    """Draw one value per frame; the path breaks where there is no value.

    Args:
        values: float64 (frames,), NaN for no value.
        num_frames: frames that the width stands for.
        low: value at the bottom.
        high: value at the top.
        curves: curves in the same panel. With more curves each keeps fewer points: the lowest and the highest
            of each stretch of frames.
    """
    points: list[str] = []
    pen_down = False
    for frame in _kept(values, max(_FEWEST, _POINTS // max(1, curves))):
        value = values[frame]
        if not math.isfinite(value):
            pen_down = False
            continue
        x = round(WIDTH * frame / max(1, num_frames - 1))
        y = round(HEIGHT * (high - value) / (high - low)) if high > low else HEIGHT // 2
        points.append(f"{'L' if pen_down else 'M'}{x} {y}")
        pen_down = True
    return "".join(points)


def _kept(values: Floats, most: int) -> list[int]:
    """Return the frames to draw."""
    if len(values) <= most:
        return list(range(len(values)))
    kept: set[int] = set()
    for part in np.array_split(np.arange(len(values)), max(1, most // 2)):
        known = part[np.isfinite(values[part])]
        # A stretch without any value keeps one frame, so that the path breaks there.
        kept |= {int(part[0])} if not known.size else set()
        if known.size:
            kept |= {int(known[values[known].argmin()]), int(known[values[known].argmax()])}
    return sorted(kept)
