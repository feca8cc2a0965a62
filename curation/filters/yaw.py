"""Turned away: in profile or from behind a face says little."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters import face
from curation.filters.filter_result import Levels, SampleSettings, measured_of
from talkingpose.pose import FACE

# A mean head in millimetres, x to the person's left, y down, z forward: tip of the nose, chin, outer corners
# of the eyes, corners of the mouth; of the person's right side first. It is the usual model for head pose
# from landmarks, with iBUG's numbers.
_POINTS = (30, 8, 36, 45, 48, 54)
_HEAD = np.array(
    [
        [0.0, 0.0, 0.0],
        [0.0, 63.6, -12.5],
        [-43.3, -32.7, -26.0],
        [43.3, -32.7, -26.0],
        [-28.9, 28.9, -24.1],
        [28.9, 28.9, -24.1],
    ]
)
_CENTRED = _HEAD - _HEAD.mean(axis=0)


class Settings(SampleSettings):
    """`max_deg`: degrees, in `min_share` of the samples."""

    max_deg: Annotated[float, Field(ge=0, le=180)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Angle of the head about its vertical axis, to either side, in degrees; 0 looks into the camera."""
    values = measured_of(lambda sample: yaw_deg(sample, shot), shot)
    return Levels(values, settings.max_deg, False, settings.min_share, "degrees", "turned away")


def yaw_deg(sample: FrameSample, shot: Shot) -> float | None:
    """Angle from the camera, 0 to 180; None where the face has no landmarks."""
    if sample.keypoints is None or not face.visible(sample):
        return None
    points = sample.keypoints[FACE][list(_POINTS)]
    if not points[:, 2].all():
        return None
    return head_yaw_deg(points[:, :2].astype(float) * (shot.width, shot.height))


def head_yaw_deg(points: npt.NDArray[np.float64]) -> float:
    """Yaw of a head whose points (6, 2) are given in pixels, seen from far away (weak perspective)."""
    projection = np.linalg.lstsq(_CENTRED, points - points.mean(axis=0), rcond=None)[0].T
    right, down = (row / max(float(np.linalg.norm(row)), 1e-12) for row in projection)
    forward = np.cross(right, down)
    return float(abs(np.degrees(np.arctan2(right[2], forward[2]))))
