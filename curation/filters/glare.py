"""Too bright: a face without detail."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from curation.filters.finding import Levels, measured_of
from curation.measurement import Shot


class Settings(BaseModel):
    """`max_luma`: 0 to 255, in `min_share` of the samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_luma: Annotated[float, Field(ge=0, le=255)]
    min_share: Annotated[float, Field(ge=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Median luma of the main face; a picture without a face, such as a slide, is no matter of light."""
    values = measured_of(lambda sample: sample.face_luma or 0.0, shot)
    return Levels(values, settings.max_luma, False, settings.min_share, "luma, 0 to 255", "too bright")
