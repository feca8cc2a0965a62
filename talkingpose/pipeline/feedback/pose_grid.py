"""Regions and motion of a pose picture on the grid of the latents.

Both are read from the picture, by the colours of `talkingpose.pose.draw_pose`: only face points are white,
and joints of hands are pure blue. This works for pose pictures of any source that draws as DWPose does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

# Thresholds of 255: white of a face point, and blue above red and green in the joint of a hand. The bluest
# limb of an upper body has 102; a picture that was reduced by averaging has less than the full 255.
_WHITE = 128
_HAND_BLUE = 128
# Closes the gaps between the points of a face: 3 positions on grids of 16, 9 on grids of 64.
_CLOSING_SHARE = 16


@dataclass(frozen=True)
class PoseRegions:
    """Masks on the grid of the latents, float32 0 or 1, (clips, 1, h, w); face and hands may overlap."""

    face: torch.Tensor
    hands: torch.Tensor


def pose_regions(pictures: torch.Tensor, size: tuple[int, int]) -> PoseRegions:
    """Find face and hands in pose pictures.

    Args:
        pictures: uint8 (clips, H, W, 3) RGB.
        size: (h, w) of the latents.
    """
    red, green, blue = pictures.to(torch.int16).unbind(dim=-1)
    white = torch.minimum(torch.minimum(red, green), blue) >= _WHITE
    joints = blue - torch.maximum(red, green) >= _HAND_BLUE
    reach = max(1, max(size) // _CLOSING_SHARE)
    face, hands = (
        _closed(F.adaptive_max_pool2d(mask[:, None].float(), size), reach) for mask in (white, joints)
    )
    return PoseRegions(face, hands)


def pose_motion(
    pictures: torch.Tensor, before: torch.Tensor, size: tuple[int, int], reach: float
) -> torch.Tensor:
    """Measure the change of the pose near each position of the latents, in [0, 1].

    The value is the mean absolute difference of the pictures in the pixels of a position, maximised over
    `reach`, because a body moves around the lines that represent it.

    Args:
        pictures: uint8 (clips, H, W, 3) RGB, the current pose.
        before: the same of the previous frame.
        size: (h, w) of the latents.
        reach: as a share of the longer side of the grid, 0 or more.

    Returns:
        float32 (clips, 1, h, w).
    """
    change = (pictures.to(torch.int16) - before.to(torch.int16)).abs().amax(dim=-1)[:, None].float() / 255
    return _widened(F.adaptive_avg_pool2d(change, size), round(reach * max(size)))


def _closed(mask: torch.Tensor, reach: int) -> torch.Tensor:
    """Fill gaps narrower than twice the reach, in positions."""
    return -_widened(-_widened(mask, reach), reach)


def _widened(values: torch.Tensor, reach: int) -> torch.Tensor:
    """Maximum over a square of `reach` positions in each direction, cut at the edge."""
    return F.max_pool2d(values, 2 * reach + 1, stride=1, padding=reach)
