"""Nobody's face, or only now and then: things, screens, people from behind, drawn figures."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from curation.filters.finding import STRAY_SHARE, Finding, at_least, share
from curation.measurement import Sample, Shot
from talkingpose.pose import FACE


class Settings(BaseModel):
    """`min_share`: share of the samples with a face, 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_share: Annotated[float, Field(ge=0, le=1)]


def judge(shot: Shot, settings: Settings) -> Finding:
    """Share of the samples in which the main person's face was found and its landmarks fit."""
    seen = share(shot, visible)
    return at_least(
        "face",
        seen,
        settings.min_share,
        unit="share of samples",
        reason="no face to be seen" if seen <= STRAY_SHARE else "face not visible throughout",
    )


def visible(sample: Sample) -> bool:
    """Whether the face has landmarks. A detector alone takes a fist or a shirt for a face."""
    return sample.keypoints is not None and bool(sample.keypoints[FACE, 2].any())
