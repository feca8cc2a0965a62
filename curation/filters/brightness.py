"""Brightness filter: faces too dark to show detail."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Values


class BrightnessSettings(SampleSettings):
    """`min_luma`: lowest luma, 0-255."""

    min_luma: Annotated[float, Field(ge=0, le=255)]


class BrightnessFilter(SampleFilter[BrightnessSettings]):
    """Reject shots whose face is too dark.

    Measures the median luma of the main face, or the mean luma of the picture if there is no face. A lit
    speaker on a dark stage passes.
    """

    spec = FilterSpec(
        "brightness",
        unit="luma, 0 to 255",
        threshold="min_luma",
        reason="too dark",
        source="SpeakerVid-5M uses 10 for the whole picture; below 40 three bits of the code remain.",
    )
    Settings = BrightnessSettings

    def values(self, shot: Shot, settings: BrightnessSettings) -> Values:
        """Luma of every sample."""
        return map(luma_of, shot.samples)


def luma_of(sample: FrameSample) -> float | None:
    """Luma of the face, else of the picture inside the letterbox; None if neither was measured."""
    if sample.face_luma is not None or sample.luma is None:
        return sample.face_luma
    height, width = sample.luma.shape
    box = sample.picture
    rows = slice(int(box.y0 * height), max(round(box.y1 * height), int(box.y0 * height) + 1))
    columns = slice(int(box.x0 * width), max(round(box.x1 * width), int(box.x0 * width) + 1))
    return float(sample.luma[rows, columns].mean())
