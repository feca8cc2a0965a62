"""Too dark: noise instead of detail, and a face that nobody can make out."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from curation.filters.finding import Levels, measured_of
from curation.measurement import Sample, Shot


class Settings(BaseModel):
    """`min_luma`: 0 to 255, in `min_share` of the samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_luma: Annotated[float, Field(ge=0, le=255)]
    min_share: Annotated[float, Field(ge=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Median luma of the main face; of the whole picture where there is no face.

    The face, and not the picture: a stage is black, and the speaker on it is lit.
    """
    values = measured_of(luma_of, shot)
    return Levels(values, settings.min_luma, True, settings.min_share, "luma, 0 to 255", "too dark")


def luma_of(sample: Sample) -> float | None:
    """Luma of the face, else of the picture; None where neither was measured."""
    if sample.face_luma is not None:
        return sample.face_luma
    return None if sample.luma is None else float(sample.luma.mean())
