"""Frechet distance of two sets of features, with an interval from a bootstrap over persons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from benchmark.metrics.contract import ClipArrays, SetScore
from benchmark.rules import Aggregation

Floats = npt.NDArray[np.float64]

# Enough for a standard error (Efron and Tibshirani 1993, section 6.4); 2048 dimensions take seconds a draw.
DRAWS = 50
# From this number on, the simulated distance of equal distributions is below 1/20 of the trace.
SAMPLES_PER_DIMENSION = 5

INTERVAL = (
    f"Interval: the value plus and minus Student's t times the standard error of a bootstrap over persons "
    f"({DRAWS} draws, real and generated samples of a clip together, factor sqrt(k / (k - 1)) for k persons)"
)


def frechet_distance(mean_a: Floats, covariance_a: Floats, mean_b: Floats, covariance_b: Floats) -> float:
    """Return the squared Frechet distance of two Gaussians.

    It is |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) (Dowson and Landau 1982). The trace of the root is
    the sum of the square roots of the eigenvalues of S_a^(1/2) S_b S_a^(1/2), which is symmetric, so that no
    root of a general matrix is needed.

    Args:
        mean_a, mean_b: (D,).
        covariance_a, covariance_b: (D, D), symmetric, without negative eigenvalues except by rounding.
    """
    from scipy.linalg import eigh, eigvalsh

    values, vectors = eigh(covariance_a)
    root = (vectors * np.sqrt(_without_rounding(values))) @ vectors.T
    product = root @ covariance_b @ root
    of_root = np.sqrt(_without_rounding(eigvalsh((product + product.T) / 2))).sum()
    apart = np.square(mean_a - mean_b).sum()
    distance = float(apart + np.trace(covariance_a) + np.trace(covariance_b) - 2 * of_root)
    return max(0.0, distance)


def frechet_score(clips: Sequence[ClipArrays], collection: str, rule: Aggregation, samples: str) -> SetScore:
    """Return the distance between real and generated samples of all clips, with its interval.

    Args:
        clips: each with arrays `real` and `generated`, (samples, D), of the collection.
        collection: id.
        rule: level and seed of the interval.
        samples: name of the samples, for messages.
    """
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    real, generated = (
        np.concatenate([clip.arrays[collection][side] for clip in ordered]).astype(np.float64)
        for side in ("real", "generated")
    )
    if real.shape != generated.shape:
        return SetScore(
            None, reason=f"{len(real)} real {samples} and {len(generated)} generated ones are stored"
        )
    number, dimensions = real.shape
    if number < 2:
        return SetScore(None, reason=f"{number} {samples}: at least two are needed")
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        return SetScore(None, reason=f"the network gives non-finite values for some {samples}")
    real, generated = in_joint_span(real, generated)
    groups = [clip.group for clip in ordered for _ in clip.arrays[collection]["real"]]

    def distance(weights: Floats) -> float:
        if weights.sum() < 2:  # a draw of persons with too few samples
            return math.nan
        return frechet_distance(*_moments(real, weights), *_moments(generated, weights))

    few = number < SAMPLES_PER_DIMENSION * dimensions
    return SetScore(
        value=distance(np.ones(number)),
        ci95=bootstrap_interval(distance, groups, rule, draws=DRAWS),
        reason=f"{number} {samples} for {dimensions} dimensions" + (f": {_FEW}" if few else ""),
    )


_FEW = "too few, the distance is biased upwards; compare only with runs of the same clips"


def bootstrap_interval(
    statistic: Callable[[Floats], float], groups: Sequence[str], rule: Aggregation, *, draws: int
) -> tuple[float, float] | None:
    """Return an interval of a statistic of weights (samples,), which may be NaN; None for a single group.

    It uses the spread of the draws, not their percentiles: a draw holds fewer distinct samples than the
    whole, so that the statistic is more biased.
    """
    from scipy.stats import t

    names = sorted(set(groups))
    if len(names) < 2:
        return None
    of_sample = np.searchsorted(names, groups)
    generator = np.random.default_rng(rule.seed)
    drawn = generator.multinomial(len(names), [1 / len(names)] * len(names), size=draws)
    values = [statistic(counts[of_sample].astype(np.float64)) for counts in drawn]
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return None
    error = float(np.std(finite, ddof=1)) * np.sqrt(len(names) / (len(names) - 1))
    half = float(t.ppf((1 + rule.level) / 2, len(names) - 1)) * error
    value = statistic(np.ones(len(groups)))
    return float(value - half), float(value + half)


def in_joint_span(real: Floats, generated: Floats) -> tuple[Floats, Floats]:
    """Return the samples in coordinates of the space they span, where it is smaller; distances are kept."""
    number = len(real) + len(generated)
    if number >= real.shape[1]:
        return real, generated
    centre = np.concatenate([real, generated]).mean(axis=0)
    together = np.concatenate([real, generated]) - centre
    basis = np.linalg.qr(together.T)[0]
    projected = together @ basis
    return projected[: len(real)], projected[len(real) :]


def _moments(samples: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return mean (D,) and unbiased covariance (D, D) of samples that count `weights` times."""
    total = weights.sum()
    mean = weights @ samples / total
    apart = samples - mean
    return mean, (apart * weights[:, None]).T @ apart / (total - 1)


def _without_rounding(eigenvalues: Floats) -> Floats:
    """Return the eigenvalues with rounding errors set to zero, which a root would magnify."""
    if not len(eigenvalues):
        return eigenvalues
    least = eigenvalues.max(initial=0.0) * len(eigenvalues) * np.finfo(np.float64).eps
    return np.where(eigenvalues > least, eigenvalues, 0.0)
