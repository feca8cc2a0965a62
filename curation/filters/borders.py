"""Mostly borders: a small picture in a large frame."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from curation.filters.finding import Levels, measured_of
from curation.measurement import Shot


class Settings(BaseModel):
    """`min_area`: share of the frame inside borders, in `min_share` of the samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_area: Annotated[float, Field(ge=0, le=1)]
    min_share: Annotated[float, Field(ge=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Share of the frame inside even bars. Thin ones do no harm: a clip is cut out of what is inside."""
    values = measured_of(lambda sample: sample.picture.area, shot)
    return Levels(values, settings.min_area, True, settings.min_share, "share of the frame", "mostly borders")
