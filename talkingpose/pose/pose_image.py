"""The pose picture a model is conditioned on, for videos of any size."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from talkingpose.pose.draw import draw_pose

# DWPose's discs and lines have a size in pixels that suits pictures of 512 pixels, where the published
# models were trained. On smaller ones the discs of a hand run into one blot that hides its fingers.
_NATIVE_SIDE = 512


def pose_image(keypoints: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Draw a pose with lines in proportion to the picture.

    From 512 pixels on this is `draw_pose`; a smaller picture is drawn a whole number of times as large, at
    least 512 pixels on its shorter side, and reduced by averaging.

    Args:
        keypoints: (133, 3) floating point, see `draw_pose`.
        height, width: of the picture, in pixels.

    Returns:
        RGB, uint8 (height, width, 3).

    Raises:
        PoseError: as for `draw_pose`.
    """
    times = max(1, math.ceil(_NATIVE_SIDE / max(1, min(height, width))))
    picture = draw_pose(keypoints, height * times, width * times)
    if times == 1:
        return picture
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
