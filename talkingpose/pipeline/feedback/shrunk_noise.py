"""Control: scaled noise without feedback.

The loop of the paper has two effects: it adds a part of the previous frame, and it removes a part of the
noise, gain * e. This controller has only the second,

    z_T(k) = scale * e    for every k.

An improvement at scale = 1 - gain is not due to the feedback. Smaller noise is nearer to the mode of the
training distribution, so it trades variety of detail for a smaller squared error; with scale = 0 the first
step of a sampler with zero terminal SNR predicts the mean of all pictures that fit (Lin et al., arXiv
2305.08891).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback.errors import check_range
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, InitialOnly


@dataclass(frozen=True)
class ShrunkNoise(InitialOnly):
    """Fixed noise times a constant; the frames are independent.

    Attributes:
        scale: 1 is the open loop, 0 no noise at all.

    Raises:
        FeedbackError: the scale is negative or not finite.
    """

    scale: float = 0.95

    def __post_init__(self) -> None:
        check_range("scale", self.scale, 0)

    def initial_latents(self, state: FeedbackState, frame: FrameContext | None = None) -> torch.Tensor:
        """Return scale * e."""
        return state.noise * self.scale
