"""Letterbox filter: a small picture in a large frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from curation.detect.measurements import Shot
from curation.filters.base import FilterSettings, FilterSpec, SampleFilter


class LetterboxSettings(FilterSettings):
    """Settings of `LetterboxFilter`.

    Attributes:
        min_area: Lowest share of the frame inside the bars, 0-1.
    """

    min_area: Annotated[float, Field(ge=0, le=1)]


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

    def values(self, shot: Shot, settings: LetterboxSettings) -> Iterable[float | None]:
        """Share of the frame inside the bars, the same for every sample."""
        return [shot.picture.area] * len(shot.samples)
