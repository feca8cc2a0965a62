"""No hands: talking heads, hands below the picture, hands behind a desk or too blurred to be seen."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from curation.filters.finding import STRAY_SHARE, Finding, at_least, share
from curation.measurement import Sample, Shot
from talkingpose.pose import LEFT_HAND, RIGHT_HAND


class Settings(BaseModel):
    """`min_share`: share of the samples with at least one hand, 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_share: Annotated[float, Field(ge=0, le=1)]


def judge(shot: Shot, settings: Settings) -> Finding:
    """Share of the samples in which at least one hand was found by its own model.

    The wrists of the body model do not count: it guesses them also where no hand is to be seen.
    """
    seen = share(shot, lambda sample: visible(sample) >= 1)
    return at_least(
        "hands",
        seen,
        settings.min_share,
        unit="share of samples",
        reason="no hands to be seen" if seen <= STRAY_SHARE else "hands too often out of sight",
    )


def visible(sample: Sample) -> int:
    """How many of the main person's hands were found: 0, 1 or 2."""
    if sample.keypoints is None:
        return 0
    return sum(bool(sample.keypoints[hand, 2].any()) for hand in (LEFT_HAND, RIGHT_HAND))
