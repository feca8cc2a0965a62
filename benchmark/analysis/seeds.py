"""Variance of a score over seeds, clips and persons, from runs of one contestant with several seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmark.results import Document, Score

Floats = npt.NDArray[np.float64]


class VarianceParts(Document):
    """Variance of the score of a clip under one seed, split into its parts.

    Attributes:
        seed: shift of all clips with the seed.
        person: differences between persons; None for fewer than two.
        clip: differences between clips of one person, and between persons where none has two clips.
        residual: what a seed does to a single clip.
        n_seeds, n_clips, n_persons: of the data.
    """

    seed: Score
    person: Score | None
    clip: Score
    residual: Score
    n_seeds: int
    n_clips: int
    n_persons: int


def variance_parts(values: Floats, persons: Sequence[str]) -> VarianceParts:
    """Split the variance of scores by the method of moments (analysis of variance; negative parts are 0).

    The model is score = mean + seed + person + clip of the person + residual, all random and independent.
    Where no person has two clips, persons and clips cannot be told apart: all is `clip`.

    Args:
        values: float64 (seeds, clips), at least 2 x 2, finite.
        persons: whose clip each is.

    Raises:
        ValueError: fewer than two seeds or clips.
    """
    seeds, clips = values.shape
    if seeds < 2 or clips < 2:
        raise ValueError("variance of seeds: needs two seeds and two clips")
    mean, by_seed, by_clip = values.mean(), values.mean(axis=1), values.mean(axis=0)
    rest = values - by_seed[:, None] - by_clip[None] + mean
    residual = float(np.square(rest).sum() / ((seeds - 1) * (clips - 1)))
    seed = max(0.0, float(by_seed.var(ddof=1)) - residual / clips)

    names, index = np.unique(np.asarray(persons), return_inverse=True)
    sizes = np.bincount(index)
    if len(names) in (1, clips):
        clip = max(0.0, float(by_clip.var(ddof=1)) - residual / seeds)
        person = None if len(names) == 1 else 0.0
    else:
        of_person = np.bincount(index, by_clip) / sizes
        within = float(np.square(by_clip - of_person[index]).sum() / (clips - len(names)))
        between = float((sizes * np.square(of_person - mean)).sum() / (len(names) - 1))
        typical = (clips - np.square(sizes).sum() / clips) / (len(names) - 1)
        clip = max(0.0, within - residual / seeds)
        person = max(0.0, float((between - within) / typical))
    return VarianceParts(
        seed=seed,
        person=person,
        clip=clip,
        residual=residual,
        n_seeds=seeds,
        n_clips=clips,
        n_persons=len(names),
    )
