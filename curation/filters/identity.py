"""Identity filter: another person takes over without a cut."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, PositiveFloat

from curation.detect.face_embedding import mean_face
from curation.detect.measurements import FloatArray, FrameSample, Shot
from curation.filters.base import FilterSpec, Measurement, SampleFilter, SampleSettings, Values, float_array


class IdentitySettings(SampleSettings):
    """Settings of `IdentityFilter`.

    Attributes:
        min_similarity: Lowest cosine similarity to the mean face, -1 to 1.
        max_speed: Highest speed of the face between two samples, in face heights per second.
    """

    min_similarity: Annotated[float, Field(ge=-1, le=1)]
    max_speed: PositiveFloat


_SIMILARITY = FilterSpec(
    "identity",
    unit="cosine similarity to the mean face",
    threshold="min_similarity",
    reason="not one person throughout",
    source="ArcFace: usual thresholds of verification lie between 0.25 and 0.5.",
)


class IdentityFilter(SampleFilter[IdentitySettings]):
    """Reject shots that show more than one person in turn.

    Measures the similarity of ArcFace embeddings if the identity model runs, else the speed of the face.
    `SourceRecord.identity` names the method.
    """

    spec = FilterSpec(
        "identity",
        unit="face heights per second",
        threshold="max_speed",
        direction="at_most",
        reason="face jumps",
        source="A quick nod reaches 3 face heights per second.",
    )
    Settings = IdentitySettings

    def measure(self, shot: Shot, settings: IdentitySettings) -> Measurement:
        """Similarity where embeddings are known, else speed."""
        if any(sample.identity is not None for sample in shot.samples):
            return Measurement(_SIMILARITY, settings, similarities(shot.samples))
        return super().measure(shot, settings)

    def values(self, shot: Shot, settings: IdentitySettings) -> Values:
        """Speed of the face at every sample."""
        return speeds(shot)


def similarities(samples: tuple[FrameSample, ...]) -> FloatArray:
    """Cosine similarity of each embedding and their mean, (N,); 1 for samples without an embedding."""
    mean = mean_face(samples)
    if mean is None:
        return np.ones(len(samples))
    return float_array(1.0 if s.identity is None else float(s.identity @ mean) for s in samples)


def speeds(shot: Shot) -> FloatArray:
    """Speed of the face's centre and size since the last sample with a face, (N,); 0 at the first."""
    values, before = np.zeros(len(shot.samples)), None
    for place, sample in enumerate(shot.samples):
        if sample.face is None:
            continue
        if before is not None:
            values[place] = _distance(before, sample, shot) / max(sample.time - before.time, 1e-3)
        before = sample
    return values


def _distance(before: FrameSample, sample: FrameSample, shot: Shot) -> float:
    """Distance of two faces in heights of the larger one."""
    assert before.face is not None and sample.face is not None
    one, other = (
        np.array([(face.x0 + face.x1) / 2 * shot.width, (face.y0 + face.y1) / 2 * shot.height])
        for face in (before.face, sample.face)
    )
    heights = [max(face.height * shot.height, 1e-6) for face in (before.face, sample.face)]
    return float(np.hypot(*(one - other)) + abs(heights[0] - heights[1])) / max(heights)
