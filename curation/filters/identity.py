"""Identity filter: another person takes over without a cut."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, PositiveFloat

from curation.detect.face_embedding import mean_face
from curation.detect.measurements import FloatArray, FrameSample, Shot
from curation.filters.base import FilterSpec, Measurement, SampleFilter, SampleSettings, Values


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
    unit="cosine similarity of windows",
    threshold="min_similarity",
    reason="not one person throughout",
    source="ArcFace: usual thresholds of verification lie between 0.25 and 0.5.",
    version="2",
)
# A window has this many looks, one a second; fewer where the span is shorter than two windows.
_WINDOW = 2
# Difference of similarity within which neighbouring windows explain the least similar pair.
_SLACK = 0.1


class IdentityFilter(SampleFilter[IdentitySettings]):
    """Reject shots that show more than one person in turn.

    Measures the similarity of face embeddings if an identity model runs, else the speed of the face.
    `SourceRecord.identity` names the method. Windows are compared with each other, not with the mean of the
    span, which resembles both persons after a takeover.
    """

    spec = FilterSpec(
        "identity",
        unit="face heights per second",
        threshold="max_speed",
        direction="at_most",
        reason="face jumps",
        source="A quick nod reaches 3 face heights per second.",
        version="2",
    )
    Settings = IdentitySettings

    def measure(self, shot: Shot, settings: IdentitySettings) -> Measurement:
        """Similarity where embeddings are known, else speed."""
        if any(sample.identity is not None for sample in shot.samples):
            # Windows are means already; one that is another person's is one too many.
            every = settings.model_copy(update={"min_share": 1.0})
            return Measurement(_SIMILARITY, every, similarities(shot.samples))
        return super().measure(shot, settings)

    def values(self, shot: Shot, settings: IdentitySettings) -> Values:
        """Speed of the face at every sample."""
        return speeds(shot)


def similarities(samples: tuple[FrameSample, ...]) -> FloatArray:
    """Cosine similarity of the window before and the window from each sample on, (N,).

    A takeover lowers the values around it, where a shot is then split. If neighbouring windows are
    similar, the least similar pair of windows decides for all samples, so that a slow change is found too.
    Samples without an embedding, and spans with fewer than two looks, have 1.
    """
    looks = [place for place, sample in enumerate(samples) if _is_look(samples, place)]
    if len(looks) < 2:
        return np.ones(len(samples))
    size = min(_WINDOW, len(looks) // 2)
    faces = np.array(
        [mean_face([samples[at] for at in looks[i : i + size]]) for i in range(len(looks) - size + 1)]
    )
    local = np.ones(len(looks))
    for place in range(size, len(looks) - size + 1):
        value = float(faces[place - size] @ faces[place])
        # The last look before the change and the first one after it.
        local[place - 1 : place + 1] = np.minimum(local[place - 1 : place + 1], value)
    worst = float((faces @ faces.T).min())
    per_look = local if local.min() < worst + _SLACK else np.full(len(looks), worst)
    return np.asarray(per_look[np.searchsorted(looks, np.arange(len(samples)), side="right").clip(1) - 1])


def _is_look(samples: tuple[FrameSample, ...], place: int) -> bool:
    """Return whether a sample has an embedding of its own; those between looks repeat it."""
    at = samples[place].measured_at
    repeated = at is not None and place > 0 and samples[place - 1].measured_at == at
    return samples[place].identity is not None and not repeated


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
