"""Too short to learn or to judge movement from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, PositiveFloat

from curation.filters.finding import Finding, at_least
from curation.measurement import Shot


class Settings(BaseModel):
    """`min_s`: seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_s: PositiveFloat


def judge(shot: Shot, settings: Settings) -> Finding:
    """Length of the shot in seconds."""
    return at_least("length", shot.duration_s, settings.min_s, unit="s", reason="too short")
