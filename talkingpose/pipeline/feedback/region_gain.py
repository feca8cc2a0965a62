"""Separate gains for face, hands and background.

    z_T(k) = e + B(x) * (z0(k-1) - e)

B(x) is the gain of the region of position x of the latents, read from the pose picture of frame k
(`pose_grid`); hands take precedence over the face. The definition is new here. The idea: hands move most, and
residue of the previous frame harms them, while a background should stay constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback.errors import check_range
from talkingpose.pipeline.feedback.pose_grid import pose_regions
from talkingpose.pipeline.feedback.proportional import mix
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, InitialOnly


@dataclass(frozen=True)
class RegionGain(InitialOnly):
    """The loop of the paper with a gain by region.

    Attributes:
        face: gain in the face, 0 or more and less than 1.
        hands: in the hands.
        background: everywhere else.

    Raises:
        FeedbackError: a gain is out of range.
    """

    face: float = 0.05
    hands: float = 0.0
    background: float = 0.1

    def __post_init__(self) -> None:
        for name in ("face", "hands", "background"):
            check_range(name, getattr(self, name), 0, 1)

    def initial_latents(self, state: FeedbackState, frame: FrameContext) -> torch.Tensor:
        """Return e before the first frame, the mixture by region after it."""
        if state.previous is None:
            return state.noise
        return mix(state.noise, state.previous, self.gains(state, frame))

    def gains(self, state: FeedbackState, frame: FrameContext) -> torch.Tensor:
        """Return B, (clips, 1, h, w), on the device and in the type of the noise."""
        height, width = state.noise.shape[-2:]
        regions = pose_regions(frame.pictures, (height, width))
        gains = torch.full_like(regions.face, self.background)
        gains = torch.where(regions.face > 0, self.face, gains)
        return torch.where(regions.hands > 0, self.hands, gains).to(state.noise)
