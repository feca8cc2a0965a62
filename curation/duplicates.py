"""The same footage in two sources: uploads of one talk, copies of one clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.config import Duplicates
from curation.records import ClipRecord, SourceRecord

Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Seen:
    source: str
    clip: ClipRecord
    looks: Bits  # (N, bits)


def find_duplicates(records: Sequence[SourceRecord], settings: Duplicates | None) -> dict[str, str]:
    """Clips that show what another source shows already: clip id -> id of the clip that stands for both.

    Two clips are the same footage where, at some offset in time, the perceptual hashes of the overlapping
    samples differ in no more than `max_difference` of their bits in the median, and the overlap is at least
    `min_overlap` of the shorter one. Of two, the one with more pixels stays, then the longer one, then the
    first by id: the answer depends neither on order nor on what was curated first. A source is not compared
    with itself.
    """
    if settings is None:
        return {}
    seen = [
        _Seen(record.source_id, clip, _bits(clip.looks))
        for record in records
        for clip in record.clips
        if clip.looks
    ]
    seen.sort(key=lambda one: (-_pixels(one.clip), -one.clip.num_frames, one.clip.clip_id))
    kept: list[_Seen] = []
    found: dict[str, str] = {}
    for one in seen:
        original = next((o for o in kept if o.source != one.source and _same(o, one, settings)), None)
        if original is None:
            kept.append(one)
        else:
            found[one.clip.clip_id] = original.clip.clip_id
    return found


def distance(one: Bits, other: Bits, min_overlap: float) -> float:
    """Median share of differing bits at the best offset, 0 to 1; 1 where they cannot overlap enough.

    Args:
        one, other: hashes (N, bits) and (M, bits), sampled at the same rate.
    """
    short, long = sorted((one, other), key=len)
    need = max(int(np.ceil(min_overlap * len(short))), 1)
    apart = (short[:, None, :] != long[None, :, :]).mean(axis=2)
    offsets = range(need - len(short), len(long) - need + 1)
    return min((float(np.median(np.diagonal(apart, offset))) for offset in offsets), default=1.0)


def _same(one: _Seen, other: _Seen, settings: Duplicates) -> bool:
    return distance(one.looks, other.looks, settings.min_overlap) <= settings.max_difference


def _pixels(clip: ClipRecord) -> int:
    return clip.width * clip.height


def _bits(looks: Sequence[str]) -> Bits:
    raw = np.frombuffer(bytes.fromhex("".join(looks)), np.uint8).reshape(len(looks), -1)
    return np.unpackbits(raw, axis=1)
