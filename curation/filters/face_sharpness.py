"""A blurred face: out of focus, or enlarged from too few pixels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.filter_result import Levels, SampleSettings, measured_of


class Settings(SampleSettings):
    """`min_sharpness`, see `curation.detect.sharpness`, in `min_share` of the samples with a face."""

    min_sharpness: Annotated[float, Field(ge=0)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Sharpness of the main face, cut out of the frame at its own resolution.

    A sample without a face is not blurred: whether there is a face is asked by another filter.
    """
    values = measured_of(
        lambda sample: float("inf") if sample.face_sharpness is None else sample.face_sharpness, shot
    )
    return Levels(
        values,
        settings.min_sharpness,
        True,
        settings.min_share,
        "Laplacian energy per variance",
        "face blurred",
    )
