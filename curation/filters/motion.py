"""Motion filter: still pictures and slideshows, also those that a camera pans or zooms over."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Values


class MotionSettings(SampleSettings):
    """`min_change`: lowest change within a second, see `curation.detect.person_motion`."""

    min_change: Annotated[float, Field(ge=0)]


class MotionFilter(SampleFilter[MotionSettings]):
    """Reject shots in which the person does not move.

    Measures the change of the person beyond camera motion, in standard deviations of the person's
    brightness. A sample without a value, such as the first of a video, passes.
    """

    spec = FilterSpec(
        "motion",
        unit="change in a second, standard deviations",
        threshold="min_change",
        reason="person does not move",
        source="Twice the remainder of a zoomed still; someone who only listens has 0.1 to 0.5.",
    )
    Settings = MotionSettings

    def values(self, shot: Shot, settings: MotionSettings) -> Values:
        """Change of every sample."""
        return (float("inf") if sample.change is None else sample.change for sample in shot.samples)
