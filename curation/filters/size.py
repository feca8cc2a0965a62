"""Too far away: face and hands have too few pixels."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters import shoulders
from curation.filters.filter_result import Levels, SampleSettings, measured_of


class Settings(SampleSettings):
    """`min_shoulder_width`: share of the picture's shorter side, in `min_share` of the samples."""

    min_shoulder_width: Annotated[float, Field(ge=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Distance of the shoulders, as a share of the shorter side inside borders."""
    values = measured_of(lambda sample: shoulder_width(sample, shot), shot)
    return Levels(
        values,
        settings.min_shoulder_width,
        True,
        settings.min_share,
        "shoulder width, share of the shorter side",
        "person too small",
    )


def shoulder_width(sample: FrameSample, shot: Shot) -> float | None:
    """None where one of the shoulders is not seen."""
    if sample.keypoints is None or not shoulders.visible(sample):
        return None
    left, right = sample.keypoints[[shoulders.LEFT_SHOULDER, shoulders.RIGHT_SHOULDER], :2].astype(float)
    return float(np.hypot(*((left - right) * (shot.width, shot.height)))) / shot.shorter_side
