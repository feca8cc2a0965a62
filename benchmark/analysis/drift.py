"""Drift: per-frame scores over time, in bins of one second, and their slope."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from benchmark.analysis.statistics import FEW_PERSONS, intervals, means, theil_sen
from benchmark.protocols.protocol import DriftRule
from benchmark.results import Curve
from benchmark.rules import Aggregation

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FrameScores:
    """One metric on one clip, frame by frame: float64 (num_frames,), NaN where there is no finite score."""

    cluster: str
    fps: Fraction
    scores: Floats


def curve(clips: Sequence[FrameScores], drift: DriftRule, rule: Aggregation) -> Curve:
    """Bin the scores of all clips, average over the clips that reach a bin, and fit the slopes.

    A bin of a clip counts where the clip has all its frames; its score is the mean of the finite ones.
    """
    binned = [bins(clip.scores, clip.fps) for clip in clips]
    length = max((len(scores) for scores in binned), default=0)
    table = np.full((len(clips), length), np.nan)
    for row, scores in zip(table, binned, strict=True):
        row[: len(scores)] = scores
    clusters = [clip.cluster for clip in clips]
    # A band by Student's t over a few people would hide every curve of a figure; n_clips says how few.
    bounds = intervals(table, clusters, rule, fewest=FEW_PERSONS)
    slopes = np.array([[slope(b, c.fps, drift.min_bins)] for b, c in zip(binned, clips, strict=True)])
    return Curve(
        time_s=[index + 0.5 for index in range(length)],
        mean=means(table),
        low=[bound[0] if bound else None for bound in bounds],
        high=[bound[1] if bound else None for bound in bounds],
        n_clips=[int(count) for count in (~np.isnan(table)).sum(axis=0)],
        slope_per_100_frames=means(slopes)[0],
        ci95=intervals(slopes, clusters, rule)[0],
    )


def bins(scores: Floats, fps: Fraction) -> Floats:
    """Mean score of each whole second; frame t lies in second floor(t / fps), NaN where none is finite."""
    edges = [math.ceil(second * fps) for second in range(math.floor(len(scores) / fps) + 1)]
    means_of_bins = np.full(len(edges) - 1, np.nan)
    for index, (first, end) in enumerate(itertools.pairwise(edges)):
        finite = scores[first:end][~np.isnan(scores[first:end])]
        if len(finite):
            means_of_bins[index] = finite.mean()
    return means_of_bins


def slope(binned: Floats, fps: Fraction, min_bins: int) -> float:
    """Theil-Sen slope per 100 frames over the bins that have a score, NaN below `min_bins` of them."""
    known = ~np.isnan(binned)
    if known.sum() < min_bins:
        return math.nan
    middle = (np.arange(len(binned)) + 0.5) * float(fps) / 100
    return theil_sen(middle[known], binned[known])
