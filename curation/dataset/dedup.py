"""The same footage in two sources: uploads of one talk, copies of one clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.records import ClipRecord, SourceRecord
from curation.settings import DuplicatesSettings

# Looks of a clip, evenly spread, that are searched in all others; those of a copy are found nearly all.
_PROBES, _MIN_PROBES = 16, 2
_LOOKS_AT_ONCE = 4096
Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Seen:
    source: str
    clip: ClipRecord
    looks: Bits  # (N, bits)


def find_duplicates(records: Sequence[SourceRecord], settings: DuplicatesSettings | None) -> dict[str, str]:
    """Clips that show what another source shows already: clip id -> id of the clip that stands for both.

    Two clips are the same footage where, at some offset in time, the perceptual hashes of the overlapping
    samples differ in no more than `max_difference` of their bits in the median, and the overlap is at least
    `min_overlap` of the shorter one. Of two, the one with more pixels in all its frames stays, so that no
    enlarged excerpt stands for the whole, then the first by id: the answer depends neither on order nor on
    what was curated first. A source is not compared with itself.
    """
    if settings is None:
        return {}
    seen = [
        _Seen(record.source_id, clip, _bits(clip.looks))
        for record in records
        for clip in record.clips
        if clip.looks
    ]
    seen.sort(key=lambda one: (-_pixels(one.clip), one.clip.clip_id))
    near = _near(seen, settings.max_difference)
    kept: set[int] = set()
    found: dict[str, str] = {}
    for place, one in enumerate(seen):
        others = (other for other in sorted(near[place]) if other in kept)
        original = next((seen[o] for o in others if _same(seen[o], one, settings)), None)
        if original is None:
            kept.add(place)
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


def _near(seen: Sequence[_Seen], max_difference: float) -> list[set[int]]:
    """For each clip those before it, of other sources, some of whose looks are near its own.

    One product of matrices for many pairs: of vectors of +1 and -1 it is bits alike minus bits that differ.
    """
    near: list[set[int]] = [set() for _ in seen]
    if not seen:
        return near
    bits = max(one.looks.shape[1] for one in seen)
    probes = [one.looks[:: max(len(one.looks) // _PROBES, 1)] for one in seen]
    for columns in _batches([len(one.looks) for one in seen]):
        theirs = _signs([seen[j].looks for j in columns])
        starts = np.cumsum([0, *(len(seen[j].looks) for j in columns)])[:-1]
        for rows in _batches([len(probe) for probe in probes]):
            alike = _signs([probes[i] for i in rows]) @ theirs.T
            closest = np.maximum.reduceat(alike, starts, axis=1) >= bits * (1 - 2 * max_difference)
            first = np.cumsum([0, *(len(probes[i]) for i in rows)])[:-1]
            for i, j in np.argwhere(np.add.reduceat(closest, first, axis=0, dtype=int) >= _MIN_PROBES):
                one, other = sorted((rows[i], columns[j]))
                if seen[one].source != seen[other].source:
                    near[other].add(one)
    return near


def _batches(sizes: Sequence[int]) -> Iterator[range]:
    """Places one after another, as many together as hold a few thousand looks, at least one."""
    start = total = 0
    for place, size in enumerate(sizes):
        if total and total + size > _LOOKS_AT_ONCE:
            yield range(start, place)
            start, total = place, 0
        total += size
    yield range(start, len(sizes))


def _signs(looks: Sequence[Bits]) -> npt.NDArray[np.float32]:
    return np.concatenate(looks).astype(np.float32) * 2 - 1


def _same(one: _Seen, other: _Seen, settings: DuplicatesSettings) -> bool:
    return distance(one.looks, other.looks, settings.min_overlap) <= settings.max_difference


def _pixels(clip: ClipRecord) -> int:
    return clip.width * clip.height * clip.num_frames


def _bits(looks: Sequence[str]) -> Bits:
    raw = np.frombuffer(bytes.fromhex("".join(looks)), np.uint8).reshape(len(looks), -1)
    return np.unpackbits(raw, axis=1)
