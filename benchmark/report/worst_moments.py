"""Moments at which a run scores worst, found in its frame scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from benchmark.results import CaseResult, Direction

Floats = npt.NDArray[np.float64]
FrameTables = Mapping[str, Mapping[str, Floats]]


@dataclass(frozen=True)
class Moment:
    """A frame of a clip with its score in one metric.

    Attributes:
        clip_id: clip.
        frame: frame number, from 0.
        seconds: time of the frame in the clip.
        value: score of the frame.
        other: score of the same frame in a second run; None if there is none.
    """

    clip_id: str
    frame: int
    seconds: float
    value: float
    other: float | None = None


def worst_moments(
    metric: str, direction: Direction, cases: Mapping[str, CaseResult], tables: FrameTables, number: int
) -> list[Moment]:
    """Return the worst frames of a metric: the worst of each clip first, at least a second apart.

    Args:
        metric: id of the metric; a column of the tables.
        direction: `higher` or `lower` is better; with `none` there is no worst frame.
        cases: clips by id.
        tables: frame scores by clip id: column -> float64 (num_frames,), NaN where there is no score.
        number: largest number of moments.
    """
    if direction == "none":
        return []
    sign = -1 if direction == "higher" else 1
    return _peaks(
        {clip: sign * table[metric] for clip, table in tables.items() if metric in table},
        cases,
        {clip: table[metric] for clip, table in tables.items() if metric in table},
        number,
    )


def widest_gaps(
    metric: str, cases: Mapping[str, CaseResult], a: FrameTables, b: FrameTables, number: int
) -> list[Moment]:
    """Return the frames at which two runs differ most in a metric; `value` is of B, `other` of A."""
    shared = [clip for clip in cases if metric in a.get(clip, {}) and metric in b.get(clip, {})]
    gaps = {clip: np.abs(b[clip][metric] - a[clip][metric]) for clip in shared}
    return _peaks(gaps, cases, {clip: b[clip][metric] for clip in shared}, number, a, metric)


def _peaks(
    heights: Mapping[str, Floats],
    cases: Mapping[str, CaseResult],
    values: Mapping[str, Floats],
    number: int,
    others: FrameTables | None = None,
    metric: str = "",
) -> list[Moment]:
    """Return the highest frames: the highest of each clip, then the second of each clip, and so on."""
    found: list[tuple[int, float, Moment]] = []
    for clip_id, height in heights.items():
        fps = float(Fraction(cases[clip_id].fps))
        for rank, t in enumerate(_separate_peaks(height, max(1, round(fps)), number)):
            other = None if others is None else float(others[clip_id][metric][t])
            moment = Moment(clip_id, t, t / fps, float(values[clip_id][t]), other)
            found.append((rank, -float(height[t]), moment))
    found.sort(key=lambda one: (one[0], one[1], one[2].clip_id))
    return [moment for _, _, moment in found[:number]]


def _separate_peaks(height: Floats, gap: int, number: int) -> Sequence[int]:
    left = np.where(np.isnan(height), -np.inf, height)
    peaks: list[int] = []
    while len(peaks) < number and left.size and np.isfinite(left.max()):
        t = int(left.argmax())
        peaks.append(t)
        left[max(0, t - gap) : t + gap + 1] = -np.inf
    return peaks
