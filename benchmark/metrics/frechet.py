"""The Frechet distance of two sets of features, and its interval from a bootstrap over people."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from benchmark.metrics.metric import ClipArrays, SetScore
from benchmark.rules import Aggregation

Floats = npt.NDArray[np.float64]

# Enough for a standard error (Efron and Tibshirani 1993, section 6.4); one of 2048 dimensions takes seconds.
DRAWS = 50
# Of so many samples a dimension the simulated distance of equal distributions is below 1/20 of the trace.
SAMPLES_PER_DIMENSION = 5

INTERVAL = (
    f"Interval: the value plus and minus Student's t times the standard error of a bootstrap over people "
    f"({DRAWS} draws, real and generated samples of a clip together, factor sqrt(k / (k - 1)) for k people)"
)


def frechet_distance(mean_a: Floats, covariance_a: Floats, mean_b: Floats, covariance_b: Floats) -> float:
    """Squared Frechet distance of two Gaussians: |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)).

    Args:
        mean_a, mean_b: (D,).
        covariance_a, covariance_b: (D, D), symmetric, no negative eigenvalue but of rounding.

    Source: Dowson and Landau 1982. The trace of the root is the sum of the roots of the eigenvalues of
    S_a^(1/2) S_b S_a^(1/2), which is symmetric: no root of a general matrix is needed.
    """
    from scipy.linalg import eigh, eigvalsh

    values, vectors = eigh(covariance_a)
    root = (vectors * np.sqrt(_without_rounding(values))) @ vectors.T
    product = root @ covariance_b @ root
    of_root = np.sqrt(_without_rounding(eigvalsh((product + product.T) / 2))).sum()
    apart = np.square(mean_a - mean_b).sum()
    distance = float(apart + np.trace(covariance_a) + np.trace(covariance_b) - 2 * of_root)
    return max(0.0, distance)


def frechet_score(clips: Sequence[ClipArrays], collection: str, rule: Aggregation, what: str) -> SetScore:
    """The distance between the real and the generated samples of all clips, with its interval.

    Args:
        clips: with arrays `real` and `generated`, each (samples, D), of the collection.
        collection: which.
        rule: level and seed of the interval.
        what: name of the samples, for the reason.
    """
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    real, generated = (
        np.concatenate([clip.arrays[collection][side] for clip in ordered]).astype(np.float64)
        for side in ("real", "generated")
    )
    if real.shape != generated.shape:
        return SetScore(
            None, reason=f"{len(real)} real {what} and {len(generated)} generated ones are stored"
        )
    number, dimensions = real.shape
    if number < 2:
        return SetScore(None, reason=f"{number} {what}: two are the least")
    if not (np.isfinite(real).all() and np.isfinite(generated).all()):
        return SetScore(None, reason=f"the network gives values that are not finite for some {what}")
    real, generated = in_their_span(real, generated)
    clusters = [clip.cluster for clip in ordered for _ in clip.arrays[collection]["real"]]

    def distance(weights: Floats) -> float:
        if weights.sum() < 2:  # a draw of people with hardly a sample
            return math.nan
        return frechet_distance(*_moments(real, weights), *_moments(generated, weights))

    few = number < SAMPLES_PER_DIMENSION * dimensions
    return SetScore(
        value=distance(np.ones(number)),
        ci95=bootstrap_interval(distance, clusters, rule, draws=DRAWS),
        reason=f"{number} {what} for {dimensions} dimensions" + (f": {_FEW}" if few else ""),
    )


_FEW = "too few, the distance is biased upwards; compare it only with runs of the same clips"


def bootstrap_interval(
    statistic: Callable[[Floats], float], clusters: Sequence[str], rule: Aggregation, *, draws: int
) -> tuple[float, float] | None:
    """An interval of a statistic of weights (samples,), which may be NaN; None of a single cluster.

    A percentile would be that of a biased statistic: a draw holds fewer different samples than the whole, and
    is farther off. Its spread tells the error all the same.
    """
    from scipy.stats import t

    names = sorted(set(clusters))
    if len(names) < 2:
        return None
    of_sample = np.searchsorted(names, clusters)
    generator = np.random.default_rng(rule.seed)
    drawn = generator.multinomial(len(names), [1 / len(names)] * len(names), size=draws)
    values = [statistic(counts[of_sample].astype(np.float64)) for counts in drawn]
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return None
    error = float(np.std(finite, ddof=1)) * np.sqrt(len(names) / (len(names) - 1))
    half = float(t.ppf((1 + rule.level) / 2, len(names) - 1)) * error
    value = statistic(np.ones(len(clusters)))
    return float(value - half), float(value + half)


def in_their_span(real: Floats, generated: Floats) -> tuple[Floats, Floats]:
    """The samples in coordinates of the space they span, where it is smaller: distances stay the same."""
    number = len(real) + len(generated)
    if number >= real.shape[1]:
        return real, generated
    centre = np.concatenate([real, generated]).mean(axis=0)
    together = np.concatenate([real, generated]) - centre
    basis = np.linalg.qr(together.T)[0]
    found = together @ basis
    return found[: len(real)], found[len(real) :]


def _moments(samples: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Mean (D,) and covariance (D, D), unbiased, of samples that count `weights` times."""
    total = weights.sum()
    mean = weights @ samples / total
    apart = samples - mean
    return mean, (apart * weights[:, None]).T @ apart / (total - 1)


def _without_rounding(eigenvalues: Floats) -> Floats:
    """Eigenvalues that rounding makes of zero, which a root would magnify, are zero."""
    if not len(eigenvalues):
        return eigenvalues
    least = eigenvalues.max(initial=0.0) * len(eigenvalues) * np.finfo(np.float64).eps
    return np.where(eigenvalues > least, eigenvalues, 0.0)
