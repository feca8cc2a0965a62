"""Contract of a feedback controller, its inputs, and the state between frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

Memory = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class FrameContext:
    """Inputs of a frame, beside the state of the loop.

    Attributes:
        pictures: uint8 (clips, H, W, 3) RGB, the pose pictures of this frame, on any device.
        reference: float (clips, channels, h, w), the portraits' latents, scaled as the final latents are.
    """

    pictures: torch.Tensor
    reference: torch.Tensor


@dataclass(frozen=True)
class FeedbackState:
    """State of the loop between two frames; its size does not depend on the length of the video.

    Attributes:
        noise: e, float (clips, channels, height, width), standard normal, constant for a video.
        previous: z0(k-1), the final latents of the previous frame, same shape; None before the first frame.
        index: k, the next frame, from 0.
        memory: tensors of the controller, each (clips, ...).
    """

    noise: torch.Tensor
    previous: torch.Tensor | None = None
    index: int = 0
    memory: Memory = field(default_factory=dict)

    def after(self, latents: torch.Tensor, memory: Memory | None = None) -> FeedbackState:
        """Return the state after a frame whose final latents are `latents`, same shape as the noise."""
        return FeedbackState(self.noise, latents, self.index + 1, dict(memory or {}))

    def select(self, clips: Sequence[int]) -> FeedbackState:
        """Return the state of the clips at these positions only, in this order."""
        rows = list(clips)
        return FeedbackState(
            self.noise[rows],
            None if self.previous is None else self.previous[rows],
            self.index,
            {name: tensor[rows] for name, tensor in self.memory.items()},
        )

    def to(self, device: torch.device) -> FeedbackState:
        """Return the state with all tensors on another device."""
        return FeedbackState(
            self.noise.to(device),
            None if self.previous is None else self.previous.to(device),
            self.index,
            {name: tensor.to(device) for name, tensor in self.memory.items()},
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain data under the names of the attributes. `torch.save` can write it."""
        return {
            "noise": self.noise,
            "previous": self.previous,
            "index": self.index,
            "memory": dict(self.memory),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> FeedbackState:
        """Restore what `state_dict` returned."""
        return cls(state["noise"], state["previous"], state["index"], dict(state.get("memory", {})))


class FeedbackController(Protocol):
    """Control law of the loop. It has settings but no state, and treats every clip separately."""

    def initial_latents(self, state: FeedbackState, frame: FrameContext) -> torch.Tensor:
        """Return z_T(k), float (clips, channels, height, width), for k = `state.index`."""
        ...

    def finish(
        self, state: FeedbackState, frame: FrameContext, final: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        """Take the denoised latents of frame k.

        Args:
            state: the same as for `initial_latents`, without frame k.
            frame: of frame k.
            final: z0(k), the output of the sampler, (clips, channels, height, width).

        Returns:
            The latents to decode and to feed back, same shape, and the memory for frame k + 1.
        """
        ...


class InitialOnly:
    """Base of controllers that change the initial latents only and need no memory."""

    def finish(
        self, state: FeedbackState, frame: FrameContext | None, final: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        """Return `final` itself and an empty memory."""
        return final, {}
