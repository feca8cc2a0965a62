"""Curves of frame scores over a clip, as plain SVG paths."""

from __future__ import annotations

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
    kept = _kept(values, max(_FEWEST, _POINTS // max(1, curves)))
    shown = values[kept]
    finite = np.isfinite(shown)
    x = np.rint(WIDTH * kept / max(1, num_frames - 1)).astype(np.int64)
    scaled = (high - shown) / (high - low) if high > low else np.full(len(shown), 0.5)
    y = np.rint(HEIGHT * np.where(finite, scaled, 0.0)).astype(np.int64)
    parts = []
    pen_down = False
    for there, across, down in zip(finite.tolist(), x.tolist(), y.tolist(), strict=True):
        if there:
            parts.append(f"{'L' if pen_down else 'M'}{across} {down}")
        pen_down = there
    return "".join(parts)


def _kept(values: Floats, most: int) -> npt.NDArray[np.int64]:
    """Return the frames to draw: of each stretch the lowest and the highest.

    A stretch without any value keeps its first frame, so that the path breaks there.
    """
    frames = len(values)
    if frames <= most:
        return np.arange(frames)
    stretches = max(1, most // 2)
    length = -(-frames // stretches)
    padded = np.full(stretches * length, np.nan)
    padded[:frames] = values
    table = padded.reshape(stretches, length)
    first = np.arange(stretches) * length
    low = np.where(np.isfinite(table), table, np.inf).argmin(axis=1)
    high = np.where(np.isfinite(table), table, -np.inf).argmax(axis=1)
    kept: npt.NDArray[np.int64] = np.unique(np.concatenate([first + low, first + high]))
    return kept[kept < frames]
