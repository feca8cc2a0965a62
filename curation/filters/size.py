"""Too far away: face and hands have too few pixels."""

from __future__ import annotations

from statistics import median
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from curation.filters import shoulders
from curation.filters.finding import Finding, at_least
from curation.measurement import Sample, Shot


class Settings(BaseModel):
    """`min_shoulder_width`: share of the picture's shorter side, 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_shoulder_width: Annotated[float, Field(ge=0, le=1)]


def judge(shot: Shot, settings: Settings) -> Finding:
    """Median distance of the shoulders, as a share of the picture's shorter side."""
    widths = [shoulder_width(sample, shot) for sample in shot.samples if shoulders.visible(sample)]
    return at_least(
        "size",
        median(widths) if widths else 0.0,
        settings.min_shoulder_width,
        unit="shoulder width, share of the shorter side",
        reason="person too small",
    )


def shoulder_width(sample: Sample, shot: Shot) -> float:
    """Distance of the shoulders, as a share of the picture's shorter side."""
    assert sample.keypoints is not None
    left, right = sample.keypoints[[shoulders.LEFT_SHOULDER, shoulders.RIGHT_SHOULDER], :2].astype(float)
    return float(np.hypot(*((left - right) * (shot.width, shot.height)))) / min(shot.width, shot.height)
