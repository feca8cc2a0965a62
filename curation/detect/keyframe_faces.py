"""Cheapest check of a source: does any key frame show a face?"""

from __future__ import annotations

from curation.detect.detectors import FaceFinder, sample_size
from curation.records import FilterResult
from curation.settings import KeyframeFacesSettings
from talkingpose.media import MediaError, PacketIndex, VideoReader

# Name of the step and of its result in records.
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


def can_judge(index: PacketIndex, settings: KeyframeFacesSettings) -> bool:
    """Return whether key frames are numerous and close enough to represent the frames between them."""
    gap = index.key_frame_gap_s
    return gap is not None and gap <= settings.max_gap_s and len(index.key_times) >= settings.min_key_frames


def judge_key_frames(
    reader: VideoReader,
    index: PacketIndex,
    faces: FaceFinder,
    settings: KeyframeFacesSettings,
    longer_side: int,
) -> FilterResult | None:
    """Decode key frames at least `every_s` apart until one shows a face.

    A source is rejected only if none of them does, so that single misses of the detector do no harm.

    Returns:
        None if the key frames are too few to decide.
    """
    if not can_judge(index, settings):
        return None
    size = sample_size(reader.info, longer_side)
    decoded, seen = 0, False
    due: float | None = None
    try:
        for frame in reader.key_frames():
            if due is not None and frame.time < due:
                continue
            due = float(frame.time) + settings.every_s
            decoded += 1
            seen = faces(frame.downscaled(size))
            if seen:
                break
    except MediaError:
        return None
    finally:
        reader.close()
    if decoded < settings.min_key_frames and not seen:
        return None
    reason = None if seen else "no face to be seen"
    return NOT_ASKED.model_copy(update={"passed": seen, "measured": float(seen), "reason": reason})
