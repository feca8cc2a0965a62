"""Shoulders filter: a face alone, or a body cut off by the edge of the picture."""

from __future__ import annotations

from curation.detect.measurements import FrameSample, Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Values

LEFT_SHOULDER, RIGHT_SHOULDER = 5, 6  # COCO-WholeBody
# Threshold for a visible landmark in mediapipe's drawing_utils.py.
MIN_CONFIDENCE = 0.5


class ShouldersSettings(SampleSettings):
    """Settings of `ShouldersFilter`: the required share of samples with both shoulders."""


class ShouldersFilter(SampleFilter[ShouldersSettings]):
    """Reject shots that do not show an upper body: both shoulders must be inside the picture."""

    spec = FilterSpec(
        "shoulders",
        unit="share of samples",
        reason="shoulders not visible",
        source="YouTube Gesture rejects shots with missing joints.",
    )
    Settings = ShouldersSettings

    def values(self, shot: Shot, settings: ShouldersSettings) -> Values:
        """1 for every sample with both shoulders."""
        return map(visible, shot.samples)


def visible(sample: FrameSample) -> bool:
    """Return whether both shoulders are inside the picture with sufficient confidence."""
    if sample.keypoints is None:
        return False
    return bool((sample.keypoints[[LEFT_SHOULDER, RIGHT_SHOULDER], 2] >= MIN_CONFIDENCE).all())
