"""Shortest clips that protocols of the benchmark take.

`curation` does not import `benchmark`; a test compares this table with the protocols.
"""

from __future__ import annotations

from collections.abc import Iterable

from curation.records import ClipRecord
from talkingpose.io.errors import UserError

MIN_FRAMES = {
    "tp-long@1": 101,
    "tp-long@2": 101,
    "tp-cross@1": 101,
    "tp-cross@2": 101,
    "tp-robust@1": 101,
}
LONG = "tp-long@2"


class ProtocolNameError(UserError):
    """A protocol whose shortest clip is unknown."""


def min_frames_of(protocol: str) -> int:
    """Smallest number of frames of a clip of this protocol.

    Raises:
        ProtocolNameError: The name is unknown.
    """
    if protocol not in MIN_FRAMES:
        raise ProtocolNameError(f"--for {protocol[:100]}: unknown: choose one of {', '.join(MIN_FRAMES)}")
    return MIN_FRAMES[protocol]


def long_clips(clips: Iterable[ClipRecord]) -> int:
    """Count clips that tp-long takes."""
    return sum(clip.num_frames >= MIN_FRAMES[LONG] for clip in clips)
