"""Another person takes over without a cut."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveFloat

from curation.detect.face_embedding import mean_face
from curation.detect.measurements import FrameSample, Shot
from curation.filters.filter_result import Levels, SampleSettings


class Settings(SampleSettings):
    """Where the identity model runs: `min_similarity` of each face to the mean one, -1 to 1.

    Where it does not: `max_speed` of the face between two samples, in its own heights per second. Both in
    `min_share` of the samples.
    """

    min_similarity: Annotated[float, Field(ge=-1, le=1)]
    max_speed: PositiveFloat


def levels(shot: Shot, settings: Settings) -> Levels:
    """Similarity of ArcFace's features, or how fast the face jumps; `SourceRecord.identity` says which."""
    if any(sample.identity is not None for sample in shot.samples):
        return Levels(
            similarities(shot.samples),
            settings.min_similarity,
            True,
            settings.min_share,
            "cosine similarity to the mean face",
            "not one person throughout",
        )
    return Levels(
        speeds(shot), settings.max_speed, False, settings.min_share, "face heights per second", "face jumps"
    )


def similarities(samples: tuple[FrameSample, ...]) -> npt.NDArray[np.float64]:
    """Cosine of each sample's features and their mean; 1 where a sample has none, as when turned away."""
    mean = mean_face(samples)
    if mean is None:
        return np.ones(len(samples))
    return np.array([1.0 if s.identity is None else float(s.identity @ mean) for s in samples])


def speeds(shot: Shot) -> npt.NDArray[np.float64]:
    """Of the face's centre since the last sample with one, a change of size counted in; 0 at the first."""
    values, before = np.zeros(len(shot.samples)), None
    for place, sample in enumerate(shot.samples):
        if sample.face is None:
            continue
        if before is not None and before.face is not None:
            values[place] = _jump(before, sample, shot) / max(sample.time - before.time, 1e-3)
        before = sample
    return values


def _jump(before: FrameSample, sample: FrameSample, shot: Shot) -> float:
    """Distance of two faces in heights of the larger one."""
    assert before.face is not None and sample.face is not None
    one, other = (
        np.array([(face.x0 + face.x1) / 2 * shot.width, (face.y0 + face.y1) / 2 * shot.height])
        for face in (before.face, sample.face)
    )
    heights = [max(face.height * shot.height, 1e-6) for face in (before.face, sample.face)]
    return float(np.hypot(*(one - other)) + abs(heights[0] - heights[1])) / max(heights)
