"""The closed loop between frames: from one frame's final latents to the next frame's initial latents.

A controller is one file. It needs no training and no further pass through the model. Equations, sources and
figures: docs/reference/feedback-controllers.md.
"""

from __future__ import annotations

from talkingpose.pipeline.feedback.anchor import FirstFrameAnchor
from talkingpose.pipeline.feedback.errors import FeedbackError
from talkingpose.pipeline.feedback.integral_statistics import IntegralStatistics
from talkingpose.pipeline.feedback.low_pass import LowPass
from talkingpose.pipeline.feedback.motion_gain import MotionGain
from talkingpose.pipeline.feedback.proportional import FixedGain, mix
from talkingpose.pipeline.feedback.region_gain import RegionGain
from talkingpose.pipeline.feedback.registry import CONTROLLERS, describe, make_controller, setting_names
from talkingpose.pipeline.feedback.shrunk_noise import ShrunkNoise
from talkingpose.pipeline.feedback.state import FeedbackController, FeedbackState, FrameContext, Memory
from talkingpose.pipeline.feedback.temporal_filter import TemporalFilter
from talkingpose.pipeline.feedback.variance_preserving import VariancePreserving

__all__ = [
    "CONTROLLERS",
    "FeedbackController",
    "FeedbackError",
    "FeedbackState",
    "FirstFrameAnchor",
    "FixedGain",
    "FrameContext",
    "IntegralStatistics",
    "LowPass",
    "Memory",
    "MotionGain",
    "RegionGain",
    "ShrunkNoise",
    "TemporalFilter",
    "VariancePreserving",
    "describe",
    "make_controller",
    "mix",
    "setting_names",
]
