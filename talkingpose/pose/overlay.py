"""Pose picture that conditions a model, and the skeleton over a frame, for frames of any size."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image
from talkingpose.pose.draw import draw_pose
from talkingpose.pose.keypoints import PoseError

# The discs and lines of DWPose have a fixed size in pixels, made for pictures of 512 pixels, on which the
# published models were trained. In smaller pictures the discs of a hand merge and hide its fingers.
_NATIVE_SIDE = 512


def pose_image(keypoints: npt.NDArray[Any], height: int, width: int) -> Image:
    """Draw a pose with lines in proportion to the picture.

    From 512 pixels on this is `draw_pose`. A smaller picture is drawn at an integer multiple of its size, at
    least 512 pixels on the shorter side, and reduced by averaging.

    Args:
        keypoints: (133, 3) floating point, see `draw_pose`.
        height: height of the picture in pixels.
        width: width of the picture in pixels.

    Returns:
        RGB, uint8 (height, width, 3).

    Raises:
        PoseError: as for `draw_pose`.
    """
    return _reduced(_drawn(keypoints, height, width), height, width)


def overlay_pose(frame: Image, keypoints: npt.NDArray[Any]) -> Image:
    """Draw a pose over a frame.

    Args:
        frame: RGB, uint8 (H, W, 3); not changed.
        keypoints: (133, 3) floating point, see `draw_pose`.

    Returns:
        RGB, uint8 (H, W, 3): the pose of `pose_image` over the frame.

    Raises:
        PoseError: `frame` is not such an array, or as for `draw_pose`.

    Example:
        >>> from talkingpose import load_clips, overlay_pose
        >>> clip = load_clips("tp-mini", split="test")[0]
        >>> picture = overlay_pose(clip.portrait, clip.keypoints[0])
        >>> picture.shape == clip.portrait.shape, bool((picture != clip.portrait).any())
        (True, True)
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.shape[2:] != (3,):
        raise PoseError("frame: not an RGB picture: give a uint8 array (H, W, 3)")
    height, width = frame.shape[:2]
    drawn = _drawn(keypoints, height, width)
    # The pose is drawn on black, so its reduced picture is already multiplied by its coverage.
    coverage = _reduced(drawn.any(axis=2).astype(np.uint8) * 255, height, width)[..., None] / 255
    blended = np.rint(_reduced(drawn, height, width) + frame * (1 - coverage))
    return np.asarray(blended.clip(0, 255), np.uint8)


def _drawn(keypoints: npt.NDArray[Any], height: int, width: int) -> Image:
    factor = max(1, math.ceil(_NATIVE_SIDE / max(1, min(height, width))))
    return draw_pose(keypoints, height * factor, width * factor)


def _reduced(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
