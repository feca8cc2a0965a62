"""No usable hands: talking heads, hands below the picture or behind a desk, hands too blurred to be seen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.detect.measurements import FrameSample, Shot
from curation.filters.filter_result import Levels, SampleSettings, measured_of
from talkingpose.pose import LEFT_HAND, RIGHT_HAND

HANDS = ((LEFT_HAND, 9), (RIGHT_HAND, 10))  # rows of the hand, and its wrist in the body
NUM_POINTS = 21


class Settings(SampleSettings):
    """`min_usability`, 0 to 1, of the better hand in `min_share` of the samples.

    `sharp_at`: sharpness (`curation.detect.sharpness`) from which on a hand counts as in focus.
    """

    min_usability: Annotated[float, Field(ge=0, le=1)]
    sharp_at: Annotated[float, Field(gt=0)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Usability of the better hand: share of its points in the picture x confidence x sharpness.

    A hand counts only where its own model found it: the wrists of the body model are guessed also where no
    hand is to be seen.
    """
    values = measured_of(lambda sample: max(usability(sample, settings.sharp_at)), shot)
    return Levels(
        values,
        settings.min_usability,
        True,
        settings.min_share,
        "usability of the better hand, 0 to 1",
        "hands too often out of sight or blurred",
        "no hands to be seen",
    )


def usability(sample: FrameSample, sharp_at: float) -> tuple[float, float]:
    """Of the person's left and right hand, 0 to 1; 0 for a hand that was not found."""
    left, right = (_usability(sample, side, sharp_at) for side in (0, 1))
    return left, right


def visible(sample: FrameSample) -> int:
    """How many of the main person's hands were found: 0, 1 or 2."""
    if sample.keypoints is None:
        return 0
    return sum(bool(sample.keypoints[hand, 2].any()) for hand, _ in HANDS)


def _usability(sample: FrameSample, side: int, sharp_at: float) -> float:
    detail = sample.hand_sharpness[side]
    if sample.keypoints is None or detail is None:
        return 0.0
    rows, wrist = HANDS[side]
    scores = sample.keypoints[rows, 2].astype(float)
    in_frame = float((scores > 0).sum()) / NUM_POINTS
    if not in_frame:
        return 0.0
    # mediapipe gives no score of a hand's points but 1; how sure the hand is, its wrist in the body says.
    confidence = float(scores[scores > 0].mean()) * float(sample.keypoints[wrist, 2])
    return in_frame * confidence * min(detail / sharp_at, 1.0)
