"""Duplicates: the same footage in two sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.records import ClipRecord, SourceRecord
from curation.settings import DuplicatesSettings

# Hashes of a clip, evenly spaced, that are searched in all other clips; a copy matches nearly all of them.
_PROBES, _MIN_PROBES = 16, 2
_HASHES_AT_ONCE = 4096
Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _HashedClip:
    source: str
    clip: ClipRecord
    hashes: Bits  # (N, bits)


def find_duplicates(records: Sequence[SourceRecord], settings: DuplicatesSettings | None) -> dict[str, str]:
    """Find clips whose footage another source has as well.

    Two clips are the same footage where, at some offset in time, the perceptual hashes of the overlapping
    samples differ in at most `max_difference` of their bits in the median, and the overlap is at least
    `min_overlap` of the shorter clip. Of two such clips the one with more pixels over all frames stays, so
    that an enlarged excerpt does not replace the whole; then the first by id. The result does not depend on
    the order of the records. A source is not compared with itself.

    Args:
        records: all sources.
        settings: None finds nothing.

    Returns:
        Id of the duplicate -> id of the clip that stays.
    """
    if settings is None:
        return {}
    clips = [
        _HashedClip(record.source_id, clip, _bits(clip.looks))
        for record in records
        for clip in record.clips
        if clip.looks
    ]
    clips.sort(key=lambda one: (-_pixels(one.clip), one.clip.clip_id))
    candidates = _candidates(clips, settings.max_difference)
    kept: set[int] = set()
    duplicates: dict[str, str] = {}
    for index, one in enumerate(clips):
        others = (other for other in sorted(candidates[index]) if other in kept)
        original = next((clips[o] for o in others if _same(clips[o], one, settings)), None)
        if original is None:
            kept.add(index)
        else:
            duplicates[one.clip.clip_id] = original.clip.clip_id
    return duplicates


def distance(one: Bits, other: Bits, min_overlap: float) -> float:
    """Return the median share of differing bits at the best offset, in [0, 1].

    Args:
        one, other: hashes, uint8 0 or 1, (N, bits) and (M, bits), sampled at the same rate.
        min_overlap: of the shorter one, a share in [0, 1]; the distance is 1 where less can overlap.
    """
    short, long = sorted((one, other), key=len)
    least = max(int(np.ceil(min_overlap * len(short))), 1)
    differing = (short[:, None, :] != long[None, :, :]).mean(axis=2)
    offsets = range(least - len(short), len(long) - least + 1)
    return min((float(np.median(np.diagonal(differing, offset))) for offset in offsets), default=1.0)


def _candidates(clips: Sequence[_HashedClip], max_difference: float) -> list[set[int]]:
    """For each clip, find the clips before it, of other sources, that share some similar hashes.

    One matrix product compares many pairs: of vectors of +1 and -1 it is equal bits minus differing bits.
    """
    candidates: list[set[int]] = [set() for _ in clips]
    if not clips:
        return candidates
    bits = max(one.hashes.shape[1] for one in clips)
    probes = [one.hashes[:: max(len(one.hashes) // _PROBES, 1)] for one in clips]
    for columns in _batches([len(one.hashes) for one in clips]):
        theirs = _signs([clips[j].hashes for j in columns])
        starts = np.cumsum([0, *(len(clips[j].hashes) for j in columns)])[:-1]
        for rows in _batches([len(probe) for probe in probes]):
            alike = _signs([probes[i] for i in rows]) @ theirs.T
            closest = np.maximum.reduceat(alike, starts, axis=1) >= bits * (1 - 2 * max_difference)
            first = np.cumsum([0, *(len(probes[i]) for i in rows)])[:-1]
            for i, j in np.argwhere(np.add.reduceat(closest, first, axis=0, dtype=int) >= _MIN_PROBES):
                one, other = sorted((rows[i], columns[j]))
                if clips[one].source != clips[other].source:
                    candidates[other].add(one)
    return candidates


def _batches(sizes: Sequence[int]) -> Iterator[range]:
    """Split indices into runs that hold a few thousand hashes together, at least one index each."""
    start = total = 0
    for index, size in enumerate(sizes):
        if total and total + size > _HASHES_AT_ONCE:
            yield range(start, index)
            start, total = index, 0
        total += size
    yield range(start, len(sizes))


def _signs(hashes: Sequence[Bits]) -> npt.NDArray[np.float32]:
    return np.concatenate(hashes).astype(np.float32) * 2 - 1


def _same(one: _HashedClip, other: _HashedClip, settings: DuplicatesSettings) -> bool:
    return distance(one.hashes, other.hashes, settings.min_overlap) <= settings.max_difference


def _pixels(clip: ClipRecord) -> int:
    return clip.width * clip.height * clip.num_frames


def _bits(hashes: Sequence[str]) -> Bits:
    raw = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1)
    return np.unpackbits(raw, axis=1)
