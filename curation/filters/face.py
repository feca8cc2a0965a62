"""Nobody's face, or only now and then: things, screens, people from behind, drawn figures."""

from __future__ import annotations

from curation.detect.measurements import FrameSample, Shot
from curation.filters.filter_result import Levels, SampleSettings, yes_or_no
from talkingpose.pose import FACE


class Settings(SampleSettings):
    """`min_share`: share of the samples with a face, 0 to 1."""


def levels(shot: Shot, settings: Settings) -> Levels:
    """Whether the main person's face was found and its landmarks fit."""
    return yes_or_no(visible, shot, settings.min_share, "face not visible throughout", "no face to be seen")


def visible(sample: FrameSample) -> bool:
    """Whether the face has landmarks. A detector alone takes a fist or a shirt for a face."""
    return sample.keypoints is not None and bool(sample.keypoints[FACE, 2].any())
