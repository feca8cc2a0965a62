"""A cut that shot detection did not see: a dissolve, a fade, a change of scene behind a wipe."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, PositiveFloat

from curation.detect.measurements import FrameSample, Shot
from curation.filters.filter_result import FilterSettings, Levels


class Settings(FilterSettings):
    """`max_change`, 0 to 1, between samples up to `window_s` seconds apart; in all samples."""

    max_change: Annotated[float, Field(ge=0, le=1)]
    window_s: PositiveFloat


def levels(shot: Shot, settings: Settings) -> Levels:
    """How much layout and colours both change within the window before a sample.

    The camera changes the layout and keeps the colours, light changes the colours and keeps the layout;
    another scene changes both.
    """
    values = []
    for place, sample in enumerate(shot.samples):
        before = [
            other for other in shot.samples[:place] if sample.time - other.time <= settings.window_s + 1e-9
        ]
        values.append(max((change(other, sample) for other in before), default=0.0))
    return Levels(
        np.array(values, np.float64), settings.max_change, False, 1.0, "change, 0 to 1", "a cut inside"
    )


def change(one: FrameSample, other: FrameSample) -> float:
    """The smaller of two distances, 0 to 1: of layout (correlation) and of colours (Bhattacharyya)."""
    if one.luma is None or other.luma is None or one.colours is None or other.colours is None:
        return 0.0
    layout = 1 - max(_correlation(one.luma.astype(float), other.luma.astype(float)), 0.0)
    common = float(np.sqrt(one.colours.astype(float) * other.colours).sum())
    return min(layout, float(np.sqrt(max(1 - common, 0.0))))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    # Two even pictures are alike.
    return float((a * b).sum()) / spread if spread > 1e-6 else 1.0
