"""More than one person: nobody can say whose pose it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from curation.filters.finding import Finding, at_least, share
from curation.measurement import Sample, Shot


class Settings(BaseModel):
    """`min_share` of the samples, 0 to 1; faces below `min_relative_size` of the largest do not count."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_share: Annotated[float, Field(ge=0, le=1)]
    min_relative_size: Annotated[float, Field(gt=0, le=1)]


def judge(shot: Shot, settings: Settings) -> Finding:
    """Share of the samples with at most one face of a size like the largest's."""
    return at_least(
        "people",
        share(shot, lambda sample: count(sample, settings) <= 1),
        settings.min_share,
        unit="share of samples",
        reason="more than one person",
    )


def count(sample: Sample, settings: Settings) -> int:
    """How many faces of a height near the largest one's."""
    heights = [face.height for face in sample.faces]
    return sum(height >= settings.min_relative_size * max(heights) for height in heights)
