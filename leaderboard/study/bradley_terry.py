"""Bradley-Terry strengths with ties, after Davidson.

A pair (i, j) of strengths s has the odds exp((s_i - s_j) / 2) for a win of i, exp((s_j - s_i) / 2) for a win
of j, and nu for a tie (Davidson 1970, *On Extending the Bradley-Terry Model to Accommodate Ties in Paired
Comparison Experiments*, JASA 65). A weak normal prior keeps strengths finite where a contestant never loses.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Precision of the prior: a standard deviation of 4.5, far beyond strengths that occur.
_PRIOR = 0.05
_STEPS = 60
_LONGEST_STEP = 2.0
_CLOSE = 1e-9


def pair_indices(contestants: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return both sides of all pairs, the lower index first."""
    one, other = np.triu_indices(contestants, k=1)
    return one, other


def fit_strengths(counts: Floats, contestants: int) -> tuple[Floats, Floats]:
    """Fit strengths to counts of many draws at once.

    Args:
        counts: float64 (draws, pairs, 3): wins of the lower index, wins of the higher index, ties, for the
            pairs of `pair_indices`. Counts may be fractions.
        contestants: number of contestants.

    Returns:
        (draws, contestants): strengths, with mean 0. (draws,): log nu.
    """
    one, other = pair_indices(contestants)
    design = np.zeros((len(one), contestants))
    design[np.arange(len(one)), one], design[np.arange(len(one)), other] = 1.0, -1.0
    theta = np.zeros((len(counts), contestants + 1))
    total = counts.sum(axis=2)
    for _ in range(_STEPS):
        step = _newton_step(theta, counts, total, design)
        longest = np.abs(step).max(axis=1, keepdims=True)
        step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, _CLOSE))
        theta += step
        if longest.max(initial=0) < _CLOSE:
            break
    strengths = theta[:, :-1] - theta[:, :-1].mean(axis=1, keepdims=True)
    return strengths, theta[:, -1]


def _newton_step(theta: Floats, counts: Floats, total: Floats, design: Floats) -> Floats:
    gap = theta[:, :-1] @ design.T
    odds = np.stack([gap / 2, -gap / 2, np.broadcast_to(theta[:, -1:], gap.shape)], axis=2)
    share = np.exp(odds - odds.max(axis=2, keepdims=True))
    share /= share.sum(axis=2, keepdims=True)
    win, loss, tie = share[..., 0], share[..., 1], share[..., 2]
    rest = counts - total[..., None] * share
    mean = (win - loss) / 2
    by_gap = (rest[..., 0] - rest[..., 1]) / 2
    gradient = np.concatenate([by_gap @ design, rest[..., 2].sum(axis=1, keepdims=True)], axis=1)
    gradient -= _PRIOR * theta
    size = theta.shape[1]
    hessian = np.zeros((len(theta), size, size))
    curve = total * ((win + loss) / 4 - np.square(mean))
    hessian[:, :-1, :-1] = np.einsum("bp,pi,pj->bij", curve, design, design)
    cross = (-total * mean * tie) @ design
    hessian[:, :-1, -1] = hessian[:, -1, :-1] = cross
    hessian[:, -1, -1] = (total * tie * (1 - tie)).sum(axis=1)
    hessian += _PRIOR * np.eye(size)
    step: Floats = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    return step
