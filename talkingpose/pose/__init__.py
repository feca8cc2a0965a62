"""Keypoints: schema, estimators, drawing, retargeting and smoothing."""

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
    from talkingpose.pose.overlay import overlay_pose, pose_image
    from talkingpose.pose.refined import RefinedHolisticEstimator
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
    "RefinedHolisticEstimator",
    "draw_pose",
    "from_holistic",
    "mirror",
    "overlay_pose",
    "pose_image",
    "smooth",
    "validate",
]

_MODULES = {
    "DWPoseEstimator": "dwpose",
    "HolisticEstimator": "estimator",
    "PoseEstimator": "estimator",
    "RefinedHolisticEstimator": "refined",
    "draw_pose": "draw",
    "from_holistic": "holistic",
    "overlay_pose": "overlay",
    "pose_image": "overlay",
    "smooth": "smoothing",
}


def __getattr__(name: str) -> Any:
    # Lazy, because commands import this package to print their help, without OpenCV.
    if name not in __all__:
        raise AttributeError(f"module 'talkingpose.pose' has no attribute {name!r}")
    return getattr(import_module(f"talkingpose.pose.{_MODULES.get(name, 'keypoints')}"), name)
