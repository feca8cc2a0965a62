"""Face sharpness filter: faces out of focus or enlarged from too few pixels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Values


class FaceSharpnessSettings(SampleSettings):
    """`min_sharpness`: lowest sharpness, see `curation.detect.sharpness`."""

    min_sharpness: Annotated[float, Field(ge=0)]


class FaceSharpnessFilter(SampleFilter[FaceSharpnessSettings]):
    """Reject shots whose face is blurred.

    Measures the main face at the resolution of the source. A sample without a face passes: `FaceFilter`
    rejects it.
    """

    spec = FilterSpec(
        "face_sharpness",
        unit="Laplacian energy per variance",
        threshold="min_sharpness",
        reason="face blurred",
        source="A tenth of a sharp face; a face blurred by a tenth of its height has 0.01.",
    )
    Settings = FaceSharpnessSettings

    def values(self, shot: Shot, settings: FaceSharpnessSettings) -> Values:
        """Sharpness of every face."""
        return (float("inf") if s.face_sharpness is None else s.face_sharpness for s in shot.samples)
