"""Letterbox filter: a small picture in a large frame."""

from __future__ import annotations

from curation.detect.measurements import Shot
from curation.filters.base import FilterSettings, FilterSpec, SampleFilter, Share, Values


class LetterboxSettings(FilterSettings):
    """`min_area`: lowest share of the frame inside the bars, 0-1."""

    min_area: Share


class LetterboxFilter(SampleFilter[LetterboxSettings]):
    """Reject shots whose picture fills little of the frame.

    Measures the share of the frame inside bars that all samples show. Clips are cut out of that part.
    """

    spec = FilterSpec(
        "borders",
        unit="share of the frame",
        threshold="min_area",
        reason="mostly borders",
        source="An upright video in a wide frame fills 0.32 of it.",
    )
    Settings = LetterboxSettings

    def values(self, shot: Shot, settings: LetterboxSettings) -> Values:
        """Share of the frame inside the bars, the same for every sample."""
        return [shot.picture.area] * len(shot.samples)
