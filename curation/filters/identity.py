"""Identity filter: another person takes over without a cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveFloat

from curation.detect.face_embedding import by_distance, compared, mean_face
from curation.detect.measurements import Embedding, FloatArray, FrameSample, Shot
from curation.filters.base import FilterSpec, Measurement, SampleFilter, SampleSettings, Values


class IdentitySettings(SampleSettings):
    """Settings of `IdentityFilter`.

    Attributes:
        min_similarity: Lowest cosine similarity of two windows, -1 to 1, with ArcFace.
        max_distance: Largest distance of two windows, with dlib.
        max_speed: Highest speed of the face between two samples, in face heights per second.
    """

    min_similarity: Annotated[float, Field(ge=-1, le=1)]
    max_distance: PositiveFloat
    max_speed: PositiveFloat


_SIMILARITY = FilterSpec(
    "identity",
    unit="cosine similarity of windows",
    threshold="min_similarity",
    reason="not one person throughout",
    source="ArcFace: usual thresholds of verification lie between 0.25 and 0.5.",
    version="2",
)
_DISTANCE = replace(
    _SIMILARITY,
    unit="distance of windows",
    threshold="max_distance",
    direction="at_most",
    source="dlib, windows of 4 s: 20 shots of one person up to 0.41, 310 of 311 pairs of persons from 0.45.",
)
# Looks, one a second, in a window; fewer where the span is shorter, or at its ends.
_WINDOW, _MIN_WINDOW = 4, 2
# Difference within which neighbouring windows explain the worst pair.
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
        """Comparison of embeddings where they are known, else speed."""
        face = next((one.identity for one in shot.samples if one.identity is not None), None)
        if face is None:
            return super().measure(shot, settings)
        # Windows are means already; one that shows another person is one too many.
        every = settings.model_copy(update={"min_share": 1.0})
        return Measurement(
            _DISTANCE if by_distance(face) else _SIMILARITY, every, between_windows(shot.samples)
        )

    def values(self, shot: Shot, settings: IdentitySettings) -> Values:
        """Speed of the face at every sample."""
        return speeds(shot)


def between_windows(samples: tuple[FrameSample, ...]) -> FloatArray:
    """Similarity or distance of the windows before and from each sample on, (N,).

    A takeover stands out at the change, where a shot is then split. If no neighbouring windows differ as much
    as some two windows of the span, the worst pair is the value of all samples, so that a slow change is
    found too. Samples without an embedding, and spans with fewer than two looks, have the best value.
    """
    looks = [place for place, sample in enumerate(samples) if _is_look(samples, place)]
    faces = [samples[place].identity for place in looks]
    distance = bool(looks) and by_distance(np.asarray(faces[0]))
    best, worse = (0.0, np.maximum) if distance else (1.0, np.minimum)
    if len(looks) < 2:
        return np.full(len(samples), best)
    low = min(_MIN_WINDOW, len(looks) // 2)
    local = np.full(len(looks), best)
    for place in range(low, len(looks) - low + 1):
        before, after = (
            _mean(samples, looks[max(place - _WINDOW, 0) : place]),
            _mean(samples, looks[place : place + _WINDOW]),
        )
        # The last look before the change and the first one after it.
        around = slice(place - 1, place + 1)
        local[around] = worse(local[around], float(compared(before, after)[0, 0]))
    size = min(_WINDOW, len(looks) // 2)
    windows = np.concatenate([_mean(samples, looks[i : i + size]) for i in range(len(looks) - size + 1)])
    worst = float(worse.reduce(compared(windows, windows), axis=None))
    extreme = float(worse.reduce(local))
    explained = abs(float(worse(worst, extreme)) - extreme) < _SLACK
    per_look = local if explained else np.full(len(looks), worst)
    return np.asarray(per_look[np.searchsorted(looks, np.arange(len(samples)), side="right").clip(1) - 1])


def _mean(samples: tuple[FrameSample, ...], looks: list[int]) -> Embedding:
    """Mean embedding of looks, (1, D)."""
    mean = mean_face([samples[place] for place in looks])
    assert mean is not None
    return mean[None]


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
