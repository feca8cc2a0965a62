"""Length filter: spans too short to learn or to judge motion from."""

from __future__ import annotations

import numpy as np
from pydantic import PositiveFloat

from curation.detect.measurements import Shot
from curation.filters.base import FilterSettings, FilterSpec, Measurement


class LengthSettings(FilterSettings):
    """`min_s`: shortest duration, in seconds."""

    min_s: PositiveFloat


class LengthFilter:
    """Reject short spans. Also asked of whole sources, by their packets, before anything is decoded."""

    spec = FilterSpec(
        "length",
        unit="s",
        threshold="min_s",
        reason="too short",
        per="span",
        source="YouTube Gesture: 75 frames at 25 fps; SpeakerVid-5M: 3 s.",
    )
    Settings = LengthSettings

    def measure(self, shot: Shot, settings: LengthSettings) -> Measurement:
        """Duration of the span in seconds."""
        return self.of_duration(shot.duration_s, settings)

    def of_duration(self, duration_s: float, settings: LengthSettings) -> Measurement:
        """Measurement of a known duration in seconds."""
        return Measurement(self.spec, settings, np.array([duration_s]))
