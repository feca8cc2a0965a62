"""Mixture with the moments of the noise.

(1 - gain) * e + gain * z0 has less variance than e, and a part of the mean of z0, so a large gain leaves the
training distribution of the model. Here

    y(k)   = sqrt(1 - gain^2) * e + gain * z0(k-1)
    z_T(k) = mean(e) + std(e) * (y(k) - mean(y(k))) / std(y(k))

with mean and std over the positions of each channel of each clip. The weights are of the kind of PYoCo's
progressive noise (Ge et al., arXiv 2305.10474), which keep the variance of independent parts; the second
line, AdaIN (Huang and Belongie, arXiv 1703.06868), keeps it exactly whatever z0 is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback.errors import check_range
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, InitialOnly

_PLACES = (-2, -1)
_LEAST_STD = 1e-6


@dataclass(frozen=True)
class VariancePreserving(InitialOnly):
    """Feedback with the mean and the variance of the noise in each channel.

    Attributes:
        gain: weight of the previous frame, 0 or more and less than 1.

    Raises:
        FeedbackError: the gain is out of range.
    """

    gain: float = 0.05

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0, 1)

    def initial_latents(self, state: FeedbackState, frame: FrameContext | None = None) -> torch.Tensor:
        """Return e before the first frame, the mixture with the moments of e after it."""
        noise = state.noise
        if state.previous is None or self.gain == 0:
            return noise
        mixture = math.sqrt(1 - self.gain**2) * noise + self.gain * state.previous
        return with_moments_of(mixture, noise)


def with_moments_of(latents: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Shift and scale each channel of each clip to the mean and standard deviation of `other`.

    Args:
        latents: (clips, channels, h, w).
        other: (clips, channels, h, w).
    """
    centred = latents - latents.mean(dim=_PLACES, keepdim=True)
    spread = latents.std(dim=_PLACES, keepdim=True).clamp(min=_LEAST_STD)
    return other.mean(dim=_PLACES, keepdim=True) + other.std(dim=_PLACES, keepdim=True) / spread * centred
