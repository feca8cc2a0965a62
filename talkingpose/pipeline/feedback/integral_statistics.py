"""The paper's loop with a slow correction towards the portrait's latent statistics.

A proportional loop keeps a small error in every frame. Two integrators per channel remove it, one for the
mean (colour, brightness), one for the spread (contrast, sharpness), over the positions of the latents:

    s(k) = clip(s(k-1) + rate * (mean(r) - mean(z0(k-1))), -limit, limit)
    q(k) = clip(q(k-1) + rate * log(std(r) / std(z0(k-1))), -limit, limit)
    z_T(k) = e + gain * (z0(k-1) - e) + s(k) + q(k) * e

r are the portrait's latents; s(0) = q(0) = 0. The clip is the anti-windup of integral control (Astrom and
Murray, Feedback Systems). A constant added to the noise moves the mean of the picture (offset noise,
Guttenberg 2023; Lin et al., arXiv 2305.08891); the default limit is the noise offset of the
training of the reference model, so the model has seen such shifts. A pose unlike that of the portrait
rightly has other statistics: therefore the rate is low and the limit small.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback.errors import check_range
from talkingpose.pipeline.feedback.proportional import mix
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, Memory

_PLACES = (-2, -1)
_LEAST_STD = 1e-6


@dataclass(frozen=True)
class IntegralStatistics:
    """Proportional feedback of the frame, integral feedback of its mean and spread.

    Attributes:
        gain: of the paper's loop, 0 or more and less than 1.
        rate: of the integrators, per frame, 0 or more and less than 1.
        limit: of the corrections, 0 or more.

    Raises:
        FeedbackError: a setting is out of range.
    """

    gain: float = 0.05
    rate: float = 0.02
    limit: float = 0.05

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0, 1)
        check_range("rate", self.rate, 0, 1)
        check_range("limit", self.limit, 0)

    def initial_latents(self, state: FeedbackState, frame: FrameContext) -> torch.Tensor:
        """Return e before the first frame, the corrected mixture after it."""
        if state.previous is None:
            return state.noise
        latents = mix(state.noise, state.previous, self.gain)
        return latents + state.memory["mean"] + state.memory["spread"] * state.noise

    def finish(
        self, state: FeedbackState, frame: FrameContext, final: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        """Return `final`, and the integrals up to it: `mean` and `spread`, (clips, channels, 1, 1)."""
        reference = frame.reference.to(final)
        errors = {
            "mean": _mean(reference) - _mean(final),
            "spread": torch.log(_std(reference) / _std(final)),
        }
        return final, {
            name: (state.memory.get(name, torch.zeros_like(error)) + self.rate * error).clamp(
                -self.limit, self.limit
            )
            for name, error in errors.items()
        }


def _mean(latents: torch.Tensor) -> torch.Tensor:
    return latents.mean(dim=_PLACES, keepdim=True)


def _std(latents: torch.Tensor) -> torch.Tensor:
    return latents.std(dim=_PLACES, keepdim=True).clamp(min=_LEAST_STD)
