"""Too bright: a face without detail."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.filter_result import Levels, SampleSettings, measured_of


class Settings(SampleSettings):
    """`max_luma`: 0 to 255, in `min_share` of the samples."""

    max_luma: Annotated[float, Field(ge=0, le=255)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Median luma of the main face; a picture without a face, such as a slide, is no matter of light."""
    values = measured_of(lambda sample: sample.face_luma or 0.0, shot)
    return Levels(values, settings.max_luma, False, settings.min_share, "luma, 0 to 255", "too bright")
