"""A gain that falls where the pose moves.

    z_T(k) = e + gain * exp(-m(x) / softness) * (z0(k-1) - e)

m(x) is the change of the pose picture from frame k-1 to frame k near place x, in [0, 1]
(`pose_grid.pose_motion`). It is the rule of motion-adaptive recursive filters of video
(Dubois and Sabri, IEEE Transactions on Communications 32 (7), 1984): keep the past where nothing moves, drop
it where something does, because it would leave a ghost.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback.errors import check_range
from talkingpose.pipeline.feedback.pose_grid import pose_motion
from talkingpose.pipeline.feedback.proportional import mix
from talkingpose.pipeline.feedback.state import FeedbackState, FrameContext, Memory


@dataclass(frozen=True)
class MotionGain:
    """The loop of the paper with a gain that decreases with the motion of the pose.

    Attributes:
        gain: where nothing moves, 0 or more and less than 1.
        softness: change of the picture at which the gain has fallen to 37 %, more than 0.
        reach: how far around a moved line the body counts as moving, as a share of the longer side of the
            picture.

    Raises:
        FeedbackError: a setting is out of range.
    """

    gain: float = 0.1
    softness: float = 0.02
    reach: float = 0.125

    def __post_init__(self) -> None:
        check_range("gain", self.gain, 0, 1)
        check_range("softness", self.softness, 1e-6)
        check_range("reach", self.reach, 0, 1)

    def initial_latents(self, state: FeedbackState, frame: FrameContext) -> torch.Tensor:
        """Return e before the first frame, the mixture by motion after it."""
        if state.previous is None:
            return state.noise
        stillness = still_places(state, frame, self.softness, self.reach)
        return mix(state.noise, state.previous, self.gain * stillness)

    def finish(
        self, state: FeedbackState, frame: FrameContext, final: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        """Return `final`, and the pose picture as memory."""
        return final, {"pictures": frame.pictures}


def still_places(state: FeedbackState, frame: FrameContext, softness: float, reach: float) -> torch.Tensor:
    """Return exp(-m / softness), (clips, 1, h, w) in [0, 1], like the noise; `memory` holds `pictures`."""
    height, width = state.noise.shape[-2:]
    before = state.memory["pictures"].to(frame.pictures.device)
    motion = pose_motion(frame.pictures, before, (height, width), reach)
    return torch.exp(-motion / softness).to(state.noise)
