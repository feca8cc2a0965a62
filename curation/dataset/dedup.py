"""Duplicates: the same footage in two sources, also mirrored, cropped, re-encoded or at another speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.records import ClipRecord, SourceRecord
from curation.settings import DuplicatesSettings

# Hashes of a clip, evenly spaced, that are searched in all other clips; a copy matches nearly all of them.
_PROBES, _MIN_PROBES = 16, 2
_HASHES_AT_ONCE = 4096
# Speeds of a copy relative to the original.
_SLOWEST, _FASTEST = 0.4, 2.5
# Hashes around a person repeat a face in one place, so that less differs between clips that are no copies.
_PERSON_FACTOR = 1.5
# Thresholds for copies that share a split where duplicates are kept.
COPIES = DuplicatesSettings(max_difference=0.06, min_overlap=0.5)
Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _HashedClip:
    source: str
    clip: ClipRecord
    hashes: Bits  # (N, bits), of the whole picture or of the person


def find_duplicates(records: Sequence[SourceRecord], settings: DuplicatesSettings | None) -> dict[str, str]:
    """Find clips whose footage another source has as well.

    Two clips are the same footage where, at some offset in time and some speed, the perceptual hashes of the
    overlapping samples, mirrored or not, differ in at most `max_difference` of their bits in the median, and
    the overlap is at least `min_overlap` of the shorter clip. Hashes of the whole picture and of the person
    are compared; the latter also match cropped copies. Of two such clips the one with more pixels over all
    frames stays, so that an enlarged excerpt does not replace the whole; then the first by id. The result
    does not depend on the order of the records. A source is not compared with itself.

    Args:
        records: all sources.
        settings: None finds nothing.

    Returns:
        Id of the duplicate -> id of the clip that stays.
    """
    if settings is None:
        return {}
    whole = _clips(records, lambda clip: clip.looks)
    person = _clips(records, lambda clip: clip.person_looks)
    strict = settings.max_difference
    found = _matches(whole, strict, settings) | _matches(person, _PERSON_FACTOR * strict, settings)
    return _chosen(records, found)


def _clips(
    records: Sequence[SourceRecord], looks: Callable[[ClipRecord], Sequence[str]]
) -> list[_HashedClip]:
    clips = [
        _HashedClip(record.source_id, clip, _bits(looks(clip)))
        for record in records
        for clip in record.clips
        if looks(clip)
    ]
    return sorted(clips, key=lambda one: one.clip.clip_id)


def _matches(
    clips: Sequence[_HashedClip], max_difference: float, settings: DuplicatesSettings
) -> set[tuple[str, str]]:
    """Pairs of clip ids that show the same footage."""
    return {
        (clips[other].clip.clip_id, clips[index].clip.clip_id)
        for index, others in enumerate(_candidates(clips, max_difference))
        for other in others
        if nearest(clips[other].hashes, clips[index].hashes, settings.min_overlap) <= max_difference
    }


def _chosen(records: Sequence[SourceRecord], matches: set[tuple[str, str]]) -> dict[str, str]:
    """Choose of matching clips the one that stays: the first with most pixels, then by id."""
    clips = [clip for record in records for clip in record.clips]
    partners: dict[str, set[str]] = {}
    for one, other in matches:
        partners.setdefault(one, set()).add(other)
        partners.setdefault(other, set()).add(one)
    kept: list[str] = []
    duplicates: dict[str, str] = {}
    for clip in sorted(clips, key=lambda clip: (-_pixels(clip), clip.clip_id)):
        own = partners.get(clip.clip_id, set())
        original = next((other for other in kept if other in own), None) if own else None
        if original is None:
            kept.append(clip.clip_id)
        else:
            duplicates[clip.clip_id] = original
    return duplicates


def nearest(one: Bits, other: Bits, min_overlap: float) -> float:
    """Return the least `distance` of two clips over mirroring and speed, in [0, 1]."""
    return min(
        distance(version, resampled, min_overlap)
        for version in (one, mirrored(one))
        for resampled in _at_speeds(version, other)
    )


def mirrored(hashes: Bits) -> Bits:
    """Return the hashes of the mirrored pictures, (N, bits).

    Mirroring changes the sign of the odd horizontal frequencies of the cosine transform, and a bit says
    whether a coefficient is above their median, which is near 0.
    """
    side = round(hashes.shape[1] ** 0.5)
    odd = (np.arange(hashes.shape[1]) % side) % 2
    return np.asarray(hashes ^ odd.astype(np.uint8), np.uint8)


def _at_speeds(one: Bits, other: Bits) -> Iterator[Bits]:
    """Yield the other hashes as they are, and at the speed at which most of them match."""
    yield other
    closest = (one[:, None, :] != other[None, :, :]).mean(axis=2).argmin(axis=0)
    # The median slope of the matches (Theil and Sen), from pairs at least a third of the clip apart.
    third = max(len(other) // 3, 1)
    first, second = np.triu_indices(len(other), third)
    if not len(first):
        return
    speed = float(np.median((closest[second] - closest[first]) / (second - first)))
    if _SLOWEST <= speed <= _FASTEST and abs(speed - 1) * len(other) > 1:
        places = np.arange(max(round(len(other) * speed), 1)) / speed
        yield other[np.clip(np.round(places).astype(int), 0, len(other) - 1)]


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
    probes = [np.concatenate([probe, mirrored(probe)]) for probe in probes]
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


def _pixels(clip: ClipRecord) -> int:
    return clip.width * clip.height * clip.num_frames


def _bits(hashes: Sequence[str]) -> Bits:
    raw = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1)
    return np.unpackbits(raw, axis=1)
