"""Mostly borders: a small picture in a large frame."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.filter_result import FilterSettings, Levels, measured_of


class Settings(FilterSettings):
    """`min_area`: share of the frame inside borders."""

    min_area: Annotated[float, Field(ge=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Share of the frame inside bars that all samples show; a clip is cut out of what is inside."""
    values = measured_of(lambda sample: shot.picture.area, shot)
    return Levels(values, settings.min_area, True, 1.0, "share of the frame", "mostly borders")
