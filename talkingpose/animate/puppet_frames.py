"""Frames of `tp-animate --model warp`."""

from __future__ import annotations

from collections.abc import Iterator

from talkingpose.animate.driving_poses import DrivingPoses, Keypoints
from talkingpose.io.image import Image

# Longest side of a film; a larger portrait is reduced.
_LONGEST = 1024


def film_size(portrait: Image) -> tuple[int, int]:
    """Return the size (width, height) of a film: that of the portrait, at most 1024, in even numbers."""
    height, width = portrait.shape[:2]
    scale = min(1.0, _LONGEST / max(height, width))
    even_width, even_height = (max(2, int(side * scale) // 2 * 2) for side in (width, height))
    return even_width, even_height


def puppet_frames(
    portrait: Image, pose: Keypoints, driving: DrivingPoses, size: tuple[int, int]
) -> Iterator[Image]:
    """Yield a frame of `size` for each driving pose.

    Args:
        portrait: uint8 RGB (H, W, 3).
        pose: keypoints of the portrait, (133, 3); zeros without a person, who then stands as the first
            driving pose says.
        driving: in the frame of the portrait.
        size: width and height.
    """
    from talkingpose.media import resize_image
    from talkingpose.warp.puppet import Puppet

    if not (pose[:, 2] > 0).any():
        pose = driving.keypoints[0]
    puppet = Puppet(resize_image(portrait, size), pose, float(driving.fps))
    for keypoints in driving.keypoints:
        yield puppet.frame(keypoints)
