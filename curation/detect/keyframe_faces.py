"""The cheapest look at pictures: does any key frame of a source show a face?"""

from __future__ import annotations

from dataclasses import dataclass

from curation.detect.detectors import FaceFinder, sample_size
from curation.records import FilterResult
from curation.settings import KeyframeFacesSettings
from talkingpose.media import MediaError, PacketIndex, VideoReader

NAME = "gate"
NOT_ASKED = FilterResult(
    filter=NAME,
    step="gate",
    passed=None,
    measured=None,
    threshold=1.0,
    at_least=True,
    unit="faces in key frames looked at",
    reason=None,
)


@dataclass(frozen=True)
class KeyframeAnswer:
    """What came of the gate; `finding` is None where key frames say too little to be asked."""

    finding: FilterResult | None

    @property
    def shut(self) -> bool:
        """Whether the source can be left out."""
        return self.finding is not None and not self.finding.passed


def can_judge(index: PacketIndex, settings: KeyframeFacesSettings) -> bool:
    """Whether key frames are many and close enough to speak for what lies between them."""
    gap = index.key_frame_gap_s
    return gap is not None and gap <= settings.max_gap_s and len(index.key_times) >= settings.min_key_frames


def look_at_key_frames(
    reader: VideoReader,
    index: PacketIndex,
    faces: FaceFinder,
    settings: KeyframeFacesSettings,
    longer_side: int,
) -> KeyframeAnswer:
    """Decode key frames, no closer to one another than `every_s`, until one shows a face.

    A source is left out only when none of them does, so what the detector misses now and then does no harm.
    """
    if not can_judge(index, settings):
        return KeyframeAnswer(None)
    size = sample_size(reader.info, longer_side)
    looked, seen = 0, False
    due: float | None = None
    try:
        for look in reader.key_frames():
            if due is not None and look.time < due:
                continue
            due = float(look.time) + settings.every_s
            looked += 1
            seen = faces(look.downscaled(size))
            if seen:
                break
    except MediaError:
        return KeyframeAnswer(None)
    finally:
        reader.close()
    if looked < settings.min_key_frames and not seen:
        return KeyframeAnswer(None)
    reason = None if seen else "no face to be seen"
    return KeyframeAnswer(
        NOT_ASKED.model_copy(update={"passed": seen, "measured": float(seen), "reason": reason})
    )
