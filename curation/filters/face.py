"""Face filter: shots without a visible face."""

from __future__ import annotations

from curation.detect.measurements import FrameSample, Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Values
from talkingpose.pose import FACE


class FaceSettings(SampleSettings):
    """Settings of `FaceFilter`: the required share of samples with a face."""


class FaceFilter(SampleFilter[FaceSettings]):
    """Reject objects, screens, drawn figures and people seen from behind.

    A sample has a face if the main person's landmarks were found.
    """

    spec = FilterSpec(
        "face",
        unit="share of samples",
        reason="face not visible throughout",
        never="no face to be seen",
        source="TalkVid requires the head turned to the camera in 60 to 90 % of the frames.",
    )
    Settings = FaceSettings

    def values(self, shot: Shot, settings: FaceSettings) -> Values:
        """1 for every sample with a face."""
        return map(visible, shot.samples)


def visible(sample: FrameSample) -> bool:
    """Return whether the face has landmarks; a face detector alone accepts fists and shirts."""
    return sample.keypoints is not None and bool(sample.keypoints[FACE, 2].any())
