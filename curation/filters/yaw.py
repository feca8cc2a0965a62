"""Yaw filter: heads turned away from the camera."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from curation.detect.measurements import FloatArray, FrameSample, Shot
from curation.filters import face
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Values
from talkingpose.pose import FACE

# Mean head in millimetres, x to the person's left, y down, z forward: tip of the nose, chin, outer corners
# of the eyes, corners of the mouth, right side first. The usual model for head pose from landmarks, with the
# indices of iBUG's 68 points.
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


class YawSettings(SampleSettings):
    """`max_deg`: largest angle, in degrees."""

    max_deg: Annotated[float, Field(ge=0, le=180)]


class YawFilter(SampleFilter[YawSettings]):
    """Reject shots in profile or from behind.

    Measures the angle of the head about its vertical axis, to either side; 0 degrees faces the camera.
    """

    spec = FilterSpec(
        "yaw",
        unit="degrees",
        threshold="max_deg",
        direction="at_most",
        reason="turned away",
        source="The far eye is hidden; YouTube Gesture: sideways in at most half the frames.",
    )
    Settings = YawSettings

    def values(self, shot: Shot, settings: YawSettings) -> Values:
        """Yaw of every sample."""
        return (yaw_deg(sample, shot) for sample in shot.samples)


def yaw_deg(sample: FrameSample, shot: Shot) -> float | None:
    """Angle from the camera in degrees, 0-180; None if the face has no landmarks."""
    if sample.keypoints is None or not face.visible(sample):
        return None
    points = sample.keypoints[FACE][list(_POINTS)]
    if not points[:, 2].all():
        return None
    return head_yaw_deg(points[:, :2].astype(np.float64) * np.array([shot.width, shot.height], np.float64))


def head_yaw_deg(points: FloatArray) -> float:
    """Yaw in degrees of a head with points (6, 2) in pixels, under weak perspective."""
    projection = np.linalg.lstsq(_CENTRED, points - points.mean(axis=0), rcond=None)[0].T
    right, down = (row / max(float(np.linalg.norm(row)), 1e-12) for row in projection)
    forward = np.cross(right, down)
    return float(abs(np.degrees(np.arctan2(right[2], forward[2]))))
