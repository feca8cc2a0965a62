"""KID: unbiased distance of generated from real single frames, over all clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from benchmark.metrics.contract import ClipArrays, MetricSpec, SetScore
from benchmark.metrics.fid import COLLECTION
from benchmark.metrics.frechet import Floats, bootstrap_interval
from benchmark.rules import Aggregation


class Kid:
    """Kernel Inception distance between generated and real frames."""

    spec = MetricSpec(
        id="kid",
        title="Kernel distance of frames",
        version=1,
        unit="1",
        direction="lower",
        scope="set",
        lookback=0,
        definition=(
            "Unbiased estimate of the squared maximum mean discrepancy of the 2048 Inception features of "
            "real and generated frames (those of fid), kernel (x . y / 2048 + 1)^3, over all samples at "
            "once, without subsets, in float64. It can be negative. Interval: the value plus and minus "
            "Student's t times the standard error of a bootstrap over persons, which draws real and "
            "generated samples of a clip together and never pairs a sample with itself."
        ),
        source=(
            "Binkowski et al. 2018; the estimator of torch-fidelity (mmd2, unbiased), without its subsets of "
            "1000, which only add noise"
        ),
        blind_spots=(
            "motion and order of frames; it is unbiased for independent frames, and frames of one video are "
            "not independent"
        ),
        collections=(COLLECTION,),
    )

    def score(self, clips: Sequence[ClipArrays], rule: Aggregation) -> SetScore:
        """Return the estimate over these clips."""
        ordered = sorted(clips, key=lambda clip: clip.clip_id)
        persons = sorted({clip.group for clip in ordered})
        sides = [[_of_person(ordered, person, side) for person in persons] for side in ("real", "generated")]
        number, generated = (sum(map(len, side)) for side in sides)
        if number != generated:
            return SetScore(None, reason=f"{number} real frames and {generated} generated ones are stored")
        if number < 2:
            return SetScore(None, reason=f"{number} frames: at least two are needed")
        if not all(np.isfinite(block).all() for side in sides for block in side):
            return SetScore(None, reason="the network gives non-finite values for some frames")
        estimate = squared_discrepancy(*sides)
        return SetScore(
            value=estimate(np.ones(len(persons))),
            ci95=bootstrap_interval(estimate, persons, rule, draws=rule.resamples),
            reason=f"{number} frames",
        )


def squared_discrepancy(real: Sequence[Floats], generated: Sequence[Floats]) -> Callable[[Floats], float]:
    """Return the unbiased estimate as a function of the weight of each person.

    Args:
        real, generated: samples (n, D) of each person.

    Returns:
        Function from weights (persons,) to the estimate. It keeps sums over pairs of persons, not the kernel
        matrix.
    """
    within = [_sums(side, side, leave_out_diagonal=True) for side in (real, generated)]
    across = _sums(real, generated)
    counts = [np.array([len(block) for block in side], np.float64) for side in (real, generated)]

    def estimate(weights: Floats) -> float:
        found = 0.0
        for sums, number in zip(within, counts, strict=True):
            # A sample is not paired with itself, however often it is drawn.
            pairs = np.square(weights @ number) - np.square(weights) @ number
            if pairs <= 0:
                return math.nan
            found += float(weights @ sums @ weights) / pairs
        pairs = (weights @ counts[0]) * (weights @ counts[1])
        return found - 2 * float(weights @ across @ weights) / float(pairs)

    return estimate


def _sums(rows: Sequence[Floats], columns: Sequence[Floats], *, leave_out_diagonal: bool = False) -> Floats:
    """Return the sum of the kernel over all pairs of samples, for each pair of persons."""
    found = np.zeros((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            values = np.power(row @ column.T / row.shape[1] + 1, 3)
            found[i, j] = values.sum()
            if leave_out_diagonal and i == j:
                found[i, j] -= np.trace(values)
    return found


def _of_person(clips: Sequence[ClipArrays], person: str, side: str) -> Floats:
    parts = [clip.arrays[COLLECTION][side] for clip in clips if clip.group == person]
    return np.concatenate(parts).astype(np.float64)
