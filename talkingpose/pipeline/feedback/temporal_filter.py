"""Feedback behind the sampler: the final latents are filtered over time before they are decoded.

Where portrait and pose determine the picture, the input of the sampler has little effect on its output: the
gain from z_T to z0 is small there, and with it the pole of the loop of the paper. A recursive filter of the
output acts in full:

    z_T(k) = scale * e
    y(k)   = z0(k) + a(x) * (y(k-1) - z0(k)),    y(0) = z0(0)
    a(x)   = hold * exp(-m(x) / softness) * exp(-d(x)^2 / tolerance^2)

y is decoded. m(x) is the change of the pose picture near position x, d(x) the root mean square difference of
z0(k) and y(k-1) over the channels of x and its eight neighbours. Where the pose does not move and the latents
differ by little, the difference is jitter and is removed; elsewhere the frame stays as it is. The recursion
and its dependence on motion are those of Dubois and Sabri (IEEE Transactions on Communications 32 (7), 1984),
the weight by difference is that of the bilateral filter (Tomasi and Manduchi, ICCV 1998). The pole is a(x),
at most hold and less than 1, so y is bounded by the output of the sampler.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from talkingpose.pipeline.feedback.errors import check_range
from talkingpose.pipeline.feedback.motion_gain import still_places
from talkingpose.pipeline.feedback.proportional import mix
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, Memory


@dataclass(frozen=True)
class TemporalFilter:
    """Fixed noise, frames sampled independently, and a motion-adaptive recursive filter behind the sampler.

    Attributes:
        hold: a where nothing changes, 0 or more and less than 1; 0 turns the filter off.
        softness: as for `MotionGain`.
        reach: as for `MotionGain`; smaller, because the weight by difference depends on motion too.
        tolerance: difference of the latents at which a falls to 37 %, more than 0; latents have a
            standard deviation of about 1.
        scale: of the noise, as for `ShrunkNoise`.

    Raises:
        FeedbackError: a setting is out of range.
    """

    hold: float = 0.8
    softness: float = 0.02
    reach: float = 0.0625
    tolerance: float = 0.3
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_range("hold", self.hold, 0, 1)
        check_range("softness", self.softness, 1e-6)
        check_range("reach", self.reach, 0, 1)
        check_range("tolerance", self.tolerance, 1e-6)
        check_range("scale", self.scale, 0)

    def initial_latents(self, state: FeedbackState, frame: FrameContext | None = None) -> torch.Tensor:
        """Return scale * e."""
        return state.noise * self.scale

    def finish(
        self, state: FeedbackState, frame: FrameContext, final: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        """Return y(k), and the pose picture as memory."""
        memory = {"pictures": frame.pictures}
        if state.previous is None or self.hold == 0:
            return final, memory
        return mix(final, state.previous, self.weights(state, frame, final)), memory

    def weights(self, state: FeedbackState, frame: FrameContext, final: torch.Tensor) -> torch.Tensor:
        """Return a, (clips, 1, h, w) in [0, hold], for a frame that has a previous one."""
        assert state.previous is not None
        square = (final - state.previous).square().mean(dim=1, keepdim=True)
        near = F.avg_pool2d(square, 3, stride=1, padding=1, count_include_pad=False)
        stillness = still_places(state, frame, self.softness, self.reach)
        return self.hold * stillness * torch.exp(-near / self.tolerance**2)
