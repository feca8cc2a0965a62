"""Glare filter: overexposed faces."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Values


class GlareSettings(SampleSettings):
    """`max_luma`: highest luma, 0-255."""

    max_luma: Annotated[float, Field(ge=0, le=255)]


class GlareFilter(SampleFilter[GlareSettings]):
    """Reject shots whose face is too bright to show detail.

    Measures the median luma of the main face. A sample without a face, such as a slide, passes.
    """

    spec = FilterSpec(
        "glare",
        unit="luma, 0 to 255",
        threshold="max_luma",
        direction="at_most",
        reason="too bright",
        source="SpeakerVid-5M uses 210 for the whole picture; 235 is white in video.",
    )
    Settings = GlareSettings

    def values(self, shot: Shot, settings: GlareSettings) -> Values:
        """Luma of every face."""
        return (sample.face_luma or 0.0 for sample in shot.samples)
