"""Cut filter: dissolves, fades and wipes that shot detection missed."""

from __future__ import annotations

import numpy as np
from pydantic import PositiveFloat

from curation.detect.measurements import FloatArray, FrameSample, Shot
from curation.filters.base import FilterSettings, FilterSpec, SampleFilter, Share, Values


class CutSettings(FilterSettings):
    """Settings of `CutFilter`.

    Attributes:
        max_change: Highest change between two samples, 0-1.
        window_s: Longest distance of the two samples, in seconds.
    """

    max_change: Share
    window_s: PositiveFloat


class CutFilter(SampleFilter[CutSettings]):
    """Reject shots that contain a change of scene.

    Measures how much layout and colours both change within the window before a sample. A camera move changes
    only the layout, a change of light only the colours.
    """

    spec = FilterSpec(
        "cut",
        unit="change, 0 to 1",
        threshold="max_change",
        direction="at_most",
        reason="a cut inside",
        source="Dissolves last up to a second and lose both layout and colours.",
    )
    Settings = CutSettings

    def values(self, shot: Shot, settings: CutSettings) -> Values:
        """Largest change of every sample from those in the window before it."""
        for place, sample in enumerate(shot.samples):
            window = (
                other
                for other in shot.samples[:place]
                if sample.time - other.time <= settings.window_s + 1e-9
            )
            yield max((change(other, sample) for other in window), default=0.0)


def change(one: FrameSample, other: FrameSample) -> float:
    """Smaller one of two distances, 0-1: layout (correlation) and colours (Bhattacharyya)."""
    if one.luma is None or other.luma is None or one.colours is None or other.colours is None:
        return 0.0
    layout = 1 - max(_correlation(one.luma.astype(float), other.luma.astype(float)), 0.0)
    common = float(np.sqrt(one.colours.astype(float) * other.colours).sum())
    return min(layout, float(np.sqrt(max(1 - common, 0.0))))


def _correlation(one: FloatArray, other: FloatArray) -> float:
    a, b = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    # Two flat pictures are equal.
    return float((a * b).sum()) / spread if spread > 1e-6 else 1.0
