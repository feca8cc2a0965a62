"""Feedback of the first frame instead of the previous one.

    z_T(k) = e + gain * (z0(0) - e)    for k > 0

Nothing accumulates over time: every frame has the same anchor. Text2Video-Zero (Khachatryan et al.,
arXiv 2303.13439) anchors to the first frame by the keys and values of attention; the reference model has
those of the portrait already.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback.errors import check_range
from talkingpose.pipeline.feedback.proportional import mix
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, Memory


@dataclass(frozen=True)
class FirstFrameAnchor:
    """Feedback of the first frame to every later frame.

    Attributes:
        gain: 0 or more and less than 1.

    Raises:
        FeedbackError: the gain is out of range.
    """

    gain: float = 0.05

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0, 1)

    def initial_latents(self, state: FeedbackState, frame: FrameContext | None = None) -> torch.Tensor:
        """Return e before the first frame, e + gain * (z0(0) - e) after it."""
        if state.previous is None:
            return state.noise
        return mix(state.noise, state.memory["first"], self.gain)

    def finish(
        self, state: FeedbackState, frame: FrameContext | None, final: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        """Return `final`, and the first final latents as memory."""
        return final, {"first": state.memory.get("first", final)}
