"""Size filter: persons too far away for faces and hands of enough pixels."""

from __future__ import annotations

import numpy as np

from curation.detect.measurements import FrameSample, Shot
from curation.filters import shoulders
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Share, Values


class SizeSettings(SampleSettings):
    """`min_shoulder_width`: lowest shoulder width, as a share of the picture's shorter side, 0-1."""

    min_shoulder_width: Share


class SizeFilter(SampleFilter[SizeSettings]):
    """Reject shots whose person is too small.

    Measures the distance of the shoulders against the shorter side of the picture inside the letterbox.
    """

    spec = FilterSpec(
        "size",
        unit="shoulder width, share of the shorter side",
        threshold="min_shoulder_width",
        reason="person too small",
        source="YouTube Gesture: 100 pixels at 720.",
    )
    Settings = SizeSettings

    def values(self, shot: Shot, settings: SizeSettings) -> Values:
        """Shoulder width of every sample."""
        return (shoulder_width(sample, shot) for sample in shot.samples)


def shoulder_width(sample: FrameSample, shot: Shot) -> float | None:
    """Shoulder width as a share of the shorter side; None unless both shoulders are visible."""
    if sample.keypoints is None or not shoulders.visible(sample):
        return None
    left, right = sample.keypoints[[shoulders.LEFT_SHOULDER, shoulders.RIGHT_SHOULDER], :2].astype(float)
    return float(np.hypot(*((left - right) * (shot.width, shot.height)))) / shot.shorter_side
