"""Keypoints, where they come from, and their picture."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingpose.pose.draw import draw_pose
    from talkingpose.pose.dwpose import DWPoseEstimator
    from talkingpose.pose.estimator import HolisticEstimator, PoseEstimator
    from talkingpose.pose.holistic import from_holistic
    from talkingpose.pose.keypoints import (
        BODY,
        BODY_EDGES,
        FACE,
        FACE_EDGES,
        FEET,
        FEET_EDGES,
        KEYPOINT_NAMES,
        LEFT_HAND,
        LEFT_HAND_EDGES,
        MIRROR_PERMUTATION,
        NUM_KEYPOINTS,
        RIGHT_HAND,
        RIGHT_HAND_EDGES,
        PoseError,
        mirror,
        validate,
    )
    from talkingpose.pose.smoothing import smooth

__all__ = [
    "BODY",
    "BODY_EDGES",
    "FACE",
    "FACE_EDGES",
    "FEET",
    "FEET_EDGES",
    "KEYPOINT_NAMES",
    "LEFT_HAND",
    "LEFT_HAND_EDGES",
    "MIRROR_PERMUTATION",
    "NUM_KEYPOINTS",
    "RIGHT_HAND",
    "RIGHT_HAND_EDGES",
    "DWPoseEstimator",
    "HolisticEstimator",
    "PoseError",
    "PoseEstimator",
    "draw_pose",
    "from_holistic",
    "mirror",
    "smooth",
    "validate",
]

_HOME = {
    "DWPoseEstimator": "dwpose",
    "HolisticEstimator": "estimator",
    "PoseEstimator": "estimator",
    "draw_pose": "draw",
    "from_holistic": "holistic",
    "smooth": "smoothing",
}


def __getattr__(name: str) -> Any:
    # Commands import this package to print their help, and need neither OpenCV nor numpy for that.
    if name not in __all__:
        raise AttributeError(f"module 'talkingpose.pose' has no attribute {name!r}")
    return getattr(import_module(f"talkingpose.pose.{_HOME.get(name, 'keypoints')}"), name)
