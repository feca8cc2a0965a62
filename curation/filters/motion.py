"""Nothing moves of itself: still pictures, slideshows, and stills that are zoomed or moved."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from curation.filters import shoulders
from curation.filters.finding import Levels
from curation.measurement import Sample, Shot

# Nose, shoulders, elbows, wrists; tip of the nose, chin, corners of the mouth, lower lip; roots and tips of
# the middle fingers.
_POINTS = (0, 5, 6, 7, 8, 9, 10, 23 + 30, 23 + 8, 23 + 48, 23 + 54, 23 + 57, 91, 103, 112, 124)
_MIN_CONFIDENCE = 0.5


class Settings(BaseModel):
    """`min_change` in shoulder widths, within `window_s` seconds, in `min_share` of the samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_change: Annotated[float, Field(ge=0)]
    window_s: PositiveFloat
    min_share: Annotated[float, Field(ge=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """How far the joint that moves most moves against the shoulders, within a window around each sample.

    Places are taken relative to the shoulders, in shoulder widths: a camera that moves or zooms over a still
    picture moves everything alike, and that does not count.
    """
    poses = np.array([pose(sample, shot) for sample in shot.samples]).reshape(
        len(shot.samples), len(_POINTS), 2
    )
    times = np.array([sample.time for sample in shot.samples])
    values = np.array([_spread(poses[abs(times - time) <= settings.window_s / 2]) for time in times])
    return Levels(
        values.reshape(-1),
        settings.min_change,
        True,
        settings.min_share,
        "shoulder widths",
        "person does not move",
    )


def pose(sample: Sample, shot: Shot) -> npt.NDArray[np.float64]:
    """Places (16, 2) from the middle of the shoulders on, in shoulder widths; NaN for what is unseen."""
    places = np.full((len(_POINTS), 2), np.nan)
    if sample.keypoints is None or not shoulders.visible(sample):
        return places
    points = sample.keypoints.astype(float)
    xy = points[:, :2] * (shot.width, shot.height)
    left, right = xy[shoulders.LEFT_SHOULDER], xy[shoulders.RIGHT_SHOULDER]
    width = float(np.hypot(*(left - right)))
    if width <= 0:
        return places
    seen = points[list(_POINTS), 2] >= _MIN_CONFIDENCE
    places[seen] = (xy[list(_POINTS)][seen] - (left + right) / 2) / width
    return places


def _spread(poses: npt.NDArray[np.float64]) -> float:
    """Greatest standard deviation of a joint's place over the poses (N, 16, 2); NaN below three of them."""
    enough = (~np.isnan(poses[:, :, 0])).sum(axis=0) >= 3
    if not enough.any():
        return float("nan")
    seen = poses[:, enough]
    return float(np.sqrt(np.nanvar(seen, axis=0).sum(axis=1)).max())
