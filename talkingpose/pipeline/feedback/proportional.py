"""The loop of the paper.

TalkingPose (arXiv 2512.00909): with e the noise drawn once per video and z0(k-1) the final latents of the
previous frame,

    z_T(0) = e
    z_T(k) = e + gain * (z0(k-1) - e)

It is applied once per frame, not per denoising step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback.errors import FeedbackError
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, InitialOnly


@dataclass(frozen=True)
class FixedGain(InitialOnly):
    """The controller of the paper: the same gain for every frame and position.

    Attributes:
        gain: beta, finite, 0.05 in the official configuration; 0 makes the frames independent.

    Raises:
        FeedbackError: the gain is not finite.
    """

    gain: float = 0.05

    def __post_init__(self) -> None:
        if not math.isfinite(self.gain):
            raise FeedbackError(f"gain: {self.gain}: give a finite number, 0.05 for example")

    def initial_latents(self, state: FeedbackState, frame: FrameContext | None = None) -> torch.Tensor:
        """Return e before the first frame, e + gain * (z0(k-1) - e) after it."""
        if state.previous is None:
            return state.noise
        return mix(state.noise, state.previous, self.gain)


def mix(noise: torch.Tensor, previous: torch.Tensor, gain: float | torch.Tensor) -> torch.Tensor:
    """Return noise + gain * (previous - noise), elementwise.

    Args:
        noise: of any shape.
        previous: of the same shape.
        gain: a number, or a tensor that broadcasts to that shape.
    """
    return noise + gain * (previous - noise)
