"""Hands filter: hands absent, outside the picture or too blurred."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Share, Values
from talkingpose.pose import LEFT_HAND, RIGHT_HAND

# Rows of each hand, and its wrist in the body.
_HANDS = ((LEFT_HAND, 9), (RIGHT_HAND, 10))
_NUM_POINTS = 21


class HandsSettings(SampleSettings):
    """Settings of `HandsFilter`.

    Attributes:
        min_usability: Lowest usability of the better hand, 0-1.
        sharp_at: Sharpness (`curation.detect.sharpness`) from which a hand counts as in focus.
    """

    min_usability: Share
    sharp_at: Annotated[float, Field(gt=0)]


class HandsFilter(SampleFilter[HandsSettings]):
    """Reject shots without usable hands.

    Measures the better hand: share of its points in the picture times confidence times sharpness. A hand
    counts only if a hand model found it, because the body model guesses wrists that are not visible. Hands
    must not be away for longer than `trim.max_gap_s`.
    """

    spec = FilterSpec(
        "hands",
        unit="usability of the better hand, 0 to 1",
        threshold="min_usability",
        reason="hands too often out of sight or blurred",
        never="no hands to be seen",
        source="SpeakerVid-5M: sharpness of hands 0.1; in its fine-tuning set hands in half of the frames.",
        steady=True,
        version="2",
    )
    Settings = HandsSettings

    def values(self, shot: Shot, settings: HandsSettings) -> Values:
        """Usability of the better hand of every sample."""
        return (max(usability(sample, settings.sharp_at)) for sample in shot.samples)


def usability(sample: FrameSample, sharp_at: float) -> tuple[float, float]:
    """Usability of the left and the right hand, 0-1; 0 for a hand that was not found."""
    return _usability(sample, 0, sharp_at), _usability(sample, 1, sharp_at)


def visible(sample: FrameSample) -> int:
    """Number of the main person's hands that were found: 0, 1 or 2."""
    if sample.keypoints is None:
        return 0
    return sum(bool(sample.keypoints[hand, 2].any()) for hand, _ in _HANDS)


def _usability(sample: FrameSample, side: int, sharp_at: float) -> float:
    sharpness = sample.hand_sharpness[side]
    if sample.keypoints is None or sharpness is None:
        return 0.0
    rows, wrist = _HANDS[side]
    scores = sample.keypoints[rows, 2].astype(float)
    in_frame = float((scores > 0).sum()) / _NUM_POINTS
    if not in_frame:
        return 0.0
    # mediapipe scores every point of a hand 1; the wrist of the body tells how sure the hand is.
    known = sample.hand_confidence[side]
    sure = float(sample.keypoints[wrist, 2]) if known is None else known
    return in_frame * float(scores[scores > 0].mean()) * sure * min(sharpness / sharp_at, 1.0)
