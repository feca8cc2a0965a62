"""A face of too few pixels to be drawn again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters import face
from curation.filters.filter_result import Levels, SampleSettings, measured_of


class Settings(SampleSettings):
    """`min_height`: share of the shorter side of the picture, in `min_share` of the samples."""

    min_height: Annotated[float, Field(ge=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Height of the main face from brows to chin, as a share of the shorter side inside borders."""
    values = measured_of(lambda sample: height(sample, shot), shot)
    return Levels(
        values,
        settings.min_height,
        True,
        settings.min_share,
        "face height, share of the shorter side",
        "face too small",
    )


def height(sample: FrameSample, shot: Shot) -> float | None:
    """None where the face has no landmarks."""
    if sample.face is None or not face.visible(sample):
        return None
    return sample.face.height * shot.height / shot.shorter_side
