"""The closed loop between frames: from one frame's final latents to the next frame's initial latents.

A controller is one file and needs neither training nor a further pass through the model; docs/feedback.md
has their equations, sources and figures.
"""

from __future__ import annotations

from talkingpose.feedback.anchor import FirstFrameAnchor
from talkingpose.feedback.error import FeedbackError
from talkingpose.feedback.integral_statistics import IntegralStatistics
from talkingpose.feedback.low_pass import LowPass
from talkingpose.feedback.motion_gain import MotionGain
from talkingpose.feedback.named import CONTROLLERS, describe, make_controller, setting_names
from talkingpose.feedback.proportional import FixedGain, mix
from talkingpose.feedback.region_gain import RegionGain
from talkingpose.feedback.shrunk_noise import ShrunkNoise
from talkingpose.feedback.state import FeedbackController, FeedbackState, FrameContext, Memory
from talkingpose.feedback.temporal_filter import TemporalFilter
from talkingpose.feedback.variance_preserving import VariancePreserving

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
