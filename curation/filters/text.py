"""Text filter: captions, names and logos burnt in over the face or the hands."""

from __future__ import annotations

from curation.detect.measurements import Box, FrameSample, Shot
from curation.filters.base import FilterSpec, SampleFilter, SampleSettings, Share, Values
from talkingpose.pose import LEFT_HAND, RIGHT_HAND


class TextSettings(SampleSettings):
    """`max_covered`: highest share of the face or of a hand under text, 0-1."""

    max_covered: Share


class TextFilter(SampleFilter[TextSettings]):
    """Reject shots with text over the face or the hands.

    Measures the share of a box (face or hand, whichever is covered more) under text that stands still.
    """

    spec = FilterSpec(
        "text",
        unit="share of face or hand under text",
        threshold="max_covered",
        direction="at_most",
        reason="text over face or hands",
        source="No text is allowed; a tenth is the tolerance of the boxes.",
    )
    Settings = TextSettings

    def values(self, shot: Shot, settings: TextSettings) -> Values:
        """Covered share at every sample."""
        return covered_throughout(shot)


def covered_throughout(shot: Shot) -> list[float]:
    """Covered share at every sample, as of the last sample at which text was searched.

    A part that has moved since the text was searched would seem to lie under text that it hides.
    """
    by_index = {sample.index: sample for sample in shot.samples}
    searched = (
        sample if sample.measured_at is None else by_index.get(sample.measured_at, sample)
        for sample in shot.samples
    )
    return [covered(sample) for sample in searched]


def covered(sample: FrameSample) -> float:
    """Largest covered share of the face or a hand; 0 without text over them."""
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


def _share(part: Box, letters: tuple[Box, ...]) -> float:
    # Letters hardly overlap one another.
    return min(sum(part.overlap(letter) for letter in letters) / max(part.area, 1e-9), 1.0)
