"""Frames of `tp-animate --model warp`."""

from __future__ import annotations

from collections.abc import Iterator

from talkingpose.animate.driving_poses import DrivingPoses, Keypoints
from talkingpose.io.image import Image


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
