"""People filter: more than one person in the picture."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Share, Values


class PeopleSettings(SampleSettings):
    """Settings of `PeopleFilter`.

    Attributes:
        min_relative_size: Smallest other face that counts, as a share of the largest face's height.
        min_relative_area: Smallest area of other bodies that counts, as a share of the main person's box.
    """

    min_relative_size: Annotated[Share, Field(gt=0)]
    min_relative_area: Annotated[Share, Field(gt=0)]


class PeopleFilter(SampleFilter[PeopleSettings]):
    """Reject shots in which the main speaker is not alone, judged by faces and by bodies."""

    spec = FilterSpec(
        "people",
        unit="share of samples",
        reason="more than one person",
        source="A head has 7 % of an upper body's box, one two thirds as tall 3 %.",
    )
    Settings = PeopleSettings

    def values(self, shot: Shot, settings: PeopleSettings) -> Values:
        """1 for every sample in which the main speaker is alone."""
        return (alone(sample, settings) for sample in shot.samples)


def alone(sample: FrameSample, settings: PeopleSettings) -> bool:
    """Return whether nobody but the main person counts."""
    return count(sample, settings) <= 1 and sample.others < settings.min_relative_area


def count(sample: FrameSample, settings: PeopleSettings) -> int:
    """Number of faces of about the largest one's height, including it."""
    heights = [face.height for face in sample.faces]
    return sum(height >= settings.min_relative_size * max(heights) for height in heights)
