"""People filter: more than one person in the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters.base import (
    FilterSpec,
    Measurement,
    SampleFilter,
    SampleSettings,
    Share,
    Values,
)
from curation.records import Evidence


class PeopleSettings(SampleSettings):
    """Settings of `PeopleFilter`.

    Attributes:
        min_relative_size: Smallest other face that counts, as a share of the largest face's height.
        min_relative_area: Smallest area of other bodies that counts, as a share of the main person's box.
    """

    min_relative_size: Annotated[Share, Field(gt=0)]
    min_relative_area: Annotated[Share, Field(gt=0)]


class PeopleFilter(SampleFilter[PeopleSettings]):
    """Reject shots in which the main speaker is not alone, judged by faces and by bodies.

    A body counts only with evidence of a person, seen twice in a row (`detect.bystanders`).
    """

    spec = FilterSpec(
        "people",
        unit="share of samples",
        reason="more than one person",
        source="A head has 7 % of an upper body's box, one two thirds as tall 3 %.",
        version="2",
    )
    Settings = PeopleSettings

    def measure(self, shot: Shot, settings: PeopleSettings) -> Measurement:
        """Measure every sample, with the places of the others."""
        measurement = super().measure(shot, settings)
        seen = [_evidence(sample, settings) for sample in shot.samples if not alone(sample, settings)]
        return replace(measurement, evidence=tuple(seen))

    def values(self, shot: Shot, settings: PeopleSettings) -> Values:
        """1 for every sample in which the main speaker is alone."""
        return (alone(sample, settings) for sample in shot.samples)


def alone(sample: FrameSample, settings: PeopleSettings) -> bool:
    """Return whether nobody but the main person counts."""
    return count(sample, settings) <= 1 and sample.others < settings.min_relative_area


def _evidence(sample: FrameSample, settings: PeopleSettings) -> Evidence:
    """Place of the largest other face, else of the body."""
    if count(sample, settings) > 1:
        main = sample.face or max(sample.faces, key=lambda face: face.height)
        others = sorted(sample.faces, key=lambda face: face.overlap(main))[:-1]
        box, what = max(others, key=lambda face: face.height), "face"
    elif sample.bystander is not None:
        box, what = sample.bystander.box, sample.bystander.evidence
    else:
        return Evidence(time_s=round(sample.time, 3), what="body")
    x0, y0, x1, y1 = (round(edge, 4) for edge in box)
    return Evidence(time_s=round(sample.time, 3), box=(x0, y0, x1, y1), what=what)


def count(sample: FrameSample, settings: PeopleSettings) -> int:
    """Number of faces of about the largest one's height, including it."""
    heights = [face.height for face in sample.faces]
    return sum(height >= settings.min_relative_size * max(heights) for height in heights)
