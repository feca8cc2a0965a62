"""The closed loop between frames: from one frame's final latent to the next frame's initial latent.

TalkingPose (arXiv 2512.00909): with e the noise drawn once per video and z0(k-1) the previous frame's final
latent,

    z_T(0) = e
    z_T(k) = e + gain * (z0(k-1) - e)

It is applied once per frame, not per denoising step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class FeedbackState:
    """What the loop remembers between two frames; it does not grow with the video.

    Attributes:
        noise: e, float (clips, channels, height, width), standard normal, constant for a video.
        previous: z0(k-1), the final latents of the previous frame, same shape; None before the first frame.
        index: k, the frame that comes next, from 0.
    """

    noise: torch.Tensor
    previous: torch.Tensor | None = None
    index: int = 0

    def after(self, latents: torch.Tensor) -> FeedbackState:
        """Return the state after a frame whose final latents are `latents`, same shape as the noise."""
        return FeedbackState(self.noise, latents, self.index + 1)

    def select(self, clips: Sequence[int]) -> FeedbackState:
        """Return the state of the clips at these positions only, in this order."""
        rows = list(clips)
        return FeedbackState(
            self.noise[rows], None if self.previous is None else self.previous[rows], self.index
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain data: `noise`, `previous`, `index`. `torch.save` can write it."""
        return {"noise": self.noise, "previous": self.previous, "index": self.index}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> FeedbackState:
        """Restore what `state_dict` returned."""
        return cls(state["noise"], state["previous"], state["index"])


class FeedbackController(Protocol):
    """Turns the state of the loop into the next frame's initial latents; holds no state of its own."""

    def initial_latents(self, state: FeedbackState) -> torch.Tensor:
        """Return z_T(k), float (clips, channels, height, width), for k = `state.index`."""
        ...


@dataclass(frozen=True)
class FixedGain:
    """The controller of the paper: the same gain for every frame.

    Attributes:
        gain: beta, finite, 0.05 in the official configuration; 0 makes the frames independent.

    Raises:
        ValueError: the gain is not finite.
    """

    gain: float = 0.05

    def __post_init__(self) -> None:
        if not math.isfinite(self.gain):
            raise ValueError(f"gain: {self.gain}: give a finite number, 0.05 for example")

    def initial_latents(self, state: FeedbackState) -> torch.Tensor:
        """Return e before the first frame, e + gain * (z0(k-1) - e) after it."""
        if state.previous is None:
            return state.noise
        return mix(state.noise, state.previous, self.gain)


def mix(noise: torch.Tensor, previous: torch.Tensor, gain: float) -> torch.Tensor:
    """Return noise + gain * (previous - noise), elementwise; both tensors of one shape."""
    return noise + gain * (previous - noise)
