"""Frames filter: spans with too few frames for a protocol of the benchmark; off by default."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.base import FilterSettings, FilterSpec, Measurement


class FramesSettings(FilterSettings):
    """`min_frames`: smallest number of frames."""

    min_frames: Annotated[int, Field(ge=1)]


class FramesFilter:
    """Reject spans with too few frames. `tp-curate run --for tp-long@2` turns it on."""

    spec = FilterSpec(
        "frames",
        unit="frames",
        threshold="min_frames",
        reason="too few frames",
        per="span",
        source="tp-long and tp-cross take clips of at least 101 frames.",
    )
    Settings = FramesSettings

    def measure(self, shot: Shot, settings: FramesSettings) -> Measurement:
        """Number of frames of the span."""
        return Measurement(self.spec, settings, np.array([float(shot.num_frames)]))
