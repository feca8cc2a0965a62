"""Brightness filter: faces too dark to show detail."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Values

_BLACK = 16  # of video, in levels of 255


class BrightnessSettings(SampleSettings):
    """`min_levels`: smallest number of distinguishable levels of brightness, 0-255."""

    min_levels: Annotated[float, Field(ge=0, le=255)]


class BrightnessFilter(SampleFilter[BrightnessSettings]):
    """Reject shots whose face is too dark to show detail.

    Measures the contrast of the main face in levels that its noise leaves distinguishable
    (`curation.detect.contrast`), so that dark skin in good light passes. Without a face it measures how far
    the picture rises above black.
    """

    spec = FilterSpec(
        "brightness",
        unit="distinguishable levels of brightness",
        threshold="min_levels",
        reason="too dark",
        source="Lit faces of any skin have 75 to 170 levels; gamma 2.2 and a third of the light leave 40.",
        version="2",
    )
    Settings = BrightnessSettings

    def values(self, shot: Shot, settings: BrightnessSettings) -> Values:
        """Distinguishable levels of every sample."""
        return map(levels_of, shot.samples)


def levels_of(sample: FrameSample) -> float | None:
    """Levels of the face, else of the picture above black; None if neither was measured."""
    if sample.face_contrast is not None or sample.luma is None:
        return sample.face_contrast
    return max(float(np.percentile(sample.luma, 95)) - _BLACK, 0.0)
