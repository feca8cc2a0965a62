"""Burnt-in text over the face or the hands: captions, names, logos of letters."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from curation.detect.measurements import Box, FrameSample, Shot
from curation.filters.filter_result import Levels, SampleSettings, measured_of
from talkingpose.pose import LEFT_HAND, RIGHT_HAND


class Settings(SampleSettings):
    """`max_covered`: share of the face or of a hand, whichever is more, in `min_share` of the samples."""

    max_covered: Annotated[float, Field(ge=0, le=1)]


def levels(shot: Shot, settings: Settings) -> Levels:
    """Which share of the box of the face or of a hand lies under lines of text that stand still."""
    return Levels(
        covered_throughout(shot),
        settings.max_covered,
        False,
        settings.min_share,
        "share of face or hand under text",
        "text over face or hands",
    )


def covered_throughout(shot: Shot) -> npt.NDArray[np.float64]:
    """What is covered at each sample, (N,): at the last look for text, until the next one.

    A hand hides the words on a shirt behind it. Beside letters of an earlier look, one that has moved since
    would seem to lie under them.
    """
    by_index = {sample.index: sample for sample in shot.samples}

    def look_of(sample: FrameSample) -> FrameSample:
        return sample if sample.looked_at is None else by_index.get(sample.looked_at, sample)

    return measured_of(lambda sample: covered(look_of(sample)), shot)


def covered(sample: FrameSample) -> float:
    """0 where nothing lies over the person."""
    parts = [sample.face, *hand_boxes(sample)]
    return max((_share(part, sample.text) for part in parts if part is not None), default=0.0)


def hand_boxes(sample: FrameSample) -> list[Box]:
    """Boxes of the hands that were found."""
    if sample.keypoints is None:
        return []
    boxes = []
    for hand in (LEFT_HAND, RIGHT_HAND):
        points = sample.keypoints[hand]
        found = points[points[:, 2] > 0, :2].astype(float)
        if len(found):
            boxes.append(Box(*map(float, (*found.min(axis=0), *found.max(axis=0)))))
    return boxes


def _share(part: Box, lines: tuple[Box, ...]) -> float:
    # Letters hardly overlap one another.
    return min(sum(part.overlap(line) for line in lines) / max(part.area, 1e-9), 1.0)
