"""More than one person: nobody can say whose pose it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters.filter_result import Levels, SampleSettings, yes_or_no


class Settings(SampleSettings):
    """`min_share` of the samples, 0 to 1, with nobody beside the main speaker.

    Faces below `min_relative_size` of the main one's height do not count, nor others whose bodies together
    have less than `min_relative_area` of the main person's box.
    """

    min_relative_size: Annotated[float, Field(gt=0, le=1)]
    min_relative_area: Annotated[float, Field(gt=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Whether the main speaker is alone: by faces, and by whatever else looks like a person."""
    reason = "more than one person"
    return yes_or_no(lambda sample: alone(sample, settings), shot, settings.min_share, reason, reason)


def alone(sample: FrameSample, settings: Settings) -> bool:
    """Whether nobody else counts."""
    return count(sample, settings) <= 1 and sample.others < settings.min_relative_area


def count(sample: FrameSample, settings: Settings) -> int:
    """How many faces of a height near the main one's, the main one included."""
    heights = [face.height for face in sample.faces]
    return sum(height >= settings.min_relative_size * max(heights) for height in heights)
