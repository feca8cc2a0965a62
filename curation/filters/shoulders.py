"""No upper body: a face alone, or a body cut off by the edge of the picture."""

from __future__ import annotations

from curation.detect.measurements import FrameSample, Shot
from curation.filters.filter_result import Levels, SampleSettings, yes_or_no

LEFT_SHOULDER, RIGHT_SHOULDER = 5, 6  # COCO-WholeBody
# mediapipe's own threshold for a visible landmark (drawing_utils.py).
MIN_CONFIDENCE = 0.5


class Settings(SampleSettings):
    """`min_share`: share of the samples with both shoulders, 0 to 1."""


def levels(shot: Shot, settings: Settings) -> Levels:
    """Whether both shoulders are inside the picture."""
    reason = "shoulders not visible"
    return yes_or_no(visible, shot, settings.min_share, reason, reason)


def visible(sample: FrameSample) -> bool:
    """Whether both shoulders are in the picture and sure enough."""
    if sample.keypoints is None:
        return False
    return bool((sample.keypoints[[LEFT_SHOULDER, RIGHT_SHOULDER], 2] >= MIN_CONFIDENCE).all())
