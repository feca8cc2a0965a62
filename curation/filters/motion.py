"""Nothing moves of itself: still pictures, slideshows, and stills that a camera moves or zooms over."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.filter_result import Levels, SampleSettings, measured_of


class Settings(SampleSettings):
    """`min_change` within a second, see `curation.detect.person_motion`, in `min_share` of the samples."""

    min_change: Annotated[float, Field(ge=0)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Change of the person beyond what the camera does, in standard deviations of the person's brightness.

    A sample without one, such as the first of a video, says nothing against the shot.
    """
    values = measured_of(lambda sample: float("inf") if sample.change is None else sample.change, shot)
    return Levels(
        values,
        settings.min_change,
        True,
        settings.min_share,
        "change in a second, standard deviations",
        "person does not move",
    )
