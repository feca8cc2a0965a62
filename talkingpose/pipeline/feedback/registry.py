"""Registry of controllers: made by name, with settings as text, as from a command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from talkingpose.pipeline.feedback.anchor import FirstFrameAnchor
from talkingpose.pipeline.feedback.errors import FeedbackError
from talkingpose.pipeline.feedback.integral_statistics import IntegralStatistics
from talkingpose.pipeline.feedback.low_pass import LowPass
from talkingpose.pipeline.feedback.motion_gain import MotionGain
from talkingpose.pipeline.feedback.proportional import FixedGain
from talkingpose.pipeline.feedback.region_gain import RegionGain
from talkingpose.pipeline.feedback.shrunk_noise import ShrunkNoise
from talkingpose.pipeline.feedback.state import FeedbackController
from talkingpose.pipeline.feedback.temporal_filter import TemporalFilter
from talkingpose.pipeline.feedback.variance_preserving import VariancePreserving

CONTROLLERS: dict[str, type] = {
    "proportional": FixedGain,
    "shrunk-noise": ShrunkNoise,
    "variance-preserving": VariancePreserving,
    "region-gain": RegionGain,
    "motion-gain": MotionGain,
    "integral-statistics": IntegralStatistics,
    "first-frame-anchor": FirstFrameAnchor,
    "low-pass": LowPass,
    "temporal-filter": TemporalFilter,
}


def make_controller(name: str, settings: Mapping[str, str | float] | None = None) -> FeedbackController:
    """Make a controller.

    Args:
        name: one of `CONTROLLERS`.
        settings: values of its attributes, numbers or their text; others take their defaults.

    Raises:
        FeedbackError: no such controller, no such setting, or a value out of range.
    """
    kind = CONTROLLERS.get(name)
    if kind is None:
        raise FeedbackError(f"feedback {name}: unknown: choose one of {', '.join(CONTROLLERS)}")
    known = setting_names(kind)
    numbers = {}
    for key, value in (settings or {}).items():
        if key not in known:
            raise FeedbackError(f"feedback {name}: no setting {key}: it has {', '.join(known)}")
        try:
            numbers[key] = float(value)
        except ValueError:
            raise FeedbackError(f"feedback {name}: {key}={value}: give a number") from None
    controller: FeedbackController = kind(**numbers)
    return controller


def setting_names(controller: FeedbackController | type) -> list[str]:
    """Return the names of the settings of a controller, or of its class."""
    return [field.name for field in dataclasses.fields(cast("Any", controller))]


def describe(controller: FeedbackController) -> str:
    """Describe a controller, for example `proportional, gain 0.05`."""
    kinds = {kind: name for name, kind in CONTROLLERS.items()}
    name = kinds.get(type(controller), type(controller).__name__)
    settings = [f", {key} {getattr(controller, key):g}" for key in setting_names(controller)]
    return name + "".join(settings)
