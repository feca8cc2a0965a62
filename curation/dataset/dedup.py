"""Duplicates: the same footage in two sources, also mirrored, cropped, re-encoded or at another speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.dataset.hash_index import num_bands, similar_clips
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
    clip_id: str
    packed: Bits  # (N, bits / 8), of the whole picture or of the person

    @property
    def hashes(self) -> Bits:
        """Bits, (N, bits)."""
        return np.unpackbits(self.packed, axis=1)


def find_duplicates(records: Sequence[SourceRecord], settings: DuplicatesSettings | None) -> dict[str, str]:
    """Find clips whose footage another source has as well.

    Two clips are the same footage where, at some offset in time and some speed, the perceptual hashes of the
    overlapping samples, mirrored or not, differ in at most `max_difference` of their bits in the median, and
    the overlap is at least `min_overlap` of the shorter clip. Hashes of the whole picture and of the person
    are compared; the latter also match cropped copies. Of two such clips the one with more pixels over all
    frames stays, so that an enlarged excerpt does not replace the whole; then the first by id. The result
    does not depend on the order of the records. A source is not compared with itself.

    Many clips are searched by locality-sensitive hashing (`hash_index`), few all against all; both verify
    every pair in the same way.

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
        _HashedClip(record.source_id, clip.clip_id, _packed(looks(clip)))
        for record in records
        for clip in record.clips
        if looks(clip)
    ]
    return sorted(clips, key=lambda one: one.clip_id)


def _matches(
    clips: Sequence[_HashedClip], max_difference: float, settings: DuplicatesSettings
) -> set[tuple[str, str]]:
    """Pairs of clip ids that show the same footage."""
    found = set()
    for one, other in _candidates(clips, max_difference):
        first, second = clips[one], clips[other]
        if nearest(first.hashes, second.hashes, settings.min_overlap) <= max_difference:
            found.add((first.clip_id, second.clip_id))
    return found


def _candidates(clips: Sequence[_HashedClip], max_difference: float) -> Iterable[tuple[int, int]]:
    """Find pairs of clips of different sources that share some similar hashes."""
    sizes = {clip.packed.shape[1] for clip in clips}
    few = sum(len(clip.packed) for clip in clips) <= _HASHES_AT_ONCE
    bits = 8 * max(sizes, default=1)
    if few or len(sizes) > 1 or num_bands(bits, int(max_difference * bits)) is None:
        return all_candidates(clips, max_difference)
    return banded_candidates(clips, max_difference)


def banded_candidates(clips: Sequence[_HashedClip], max_difference: float) -> Iterator[tuple[int, int]]:
    """Find the pairs of `all_candidates` by an index, in nearly linear time."""
    hashes = np.concatenate([clip.packed for clip in clips])
    owners = np.repeat(np.arange(len(clips), dtype=np.int32), [len(clip.packed) for clip in clips])
    numbers = {source: number for number, source in enumerate(sorted({clip.source for clip in clips}))}
    sources = np.array([numbers[clip.source] for clip in clips], np.int32)
    most = int(max_difference * hashes.shape[1] * 8)
    for one, other in similar_clips(hashes, owners, sources, most).tolist():
        if _shares_hashes(clips[one].hashes, clips[other].hashes, max_difference):
            yield one, other


def _shares_hashes(one: Bits, other: Bits, max_difference: float) -> bool:
    """Return whether probes of one clip, mirrored or not, are among the hashes of the other."""
    least = one.shape[1] * (1 - 2 * max_difference)
    for probed, searched in ((one, other), (other, one)):
        alike = _signs([_probes(probed)]) @ _signs([searched]).T
        if (alike.max(axis=1) >= least).sum() >= _MIN_PROBES:
            return True
    return False


def _chosen(records: Sequence[SourceRecord], matches: set[tuple[str, str]]) -> dict[str, str]:
    """Choose of matching clips the one that stays: the first with most pixels, then by id."""
    clips = [clip for record in records for clip in record.clips]
    partners: dict[str, set[str]] = {}
    for one, other in matches:
        partners.setdefault(one, set()).add(other)
        partners.setdefault(other, set()).add(one)
    ordered = sorted(clips, key=lambda clip: (-_pixels(clip), clip.clip_id))
    rank = {clip.clip_id: number for number, clip in enumerate(ordered)}
    duplicates: dict[str, str] = {}
    for clip in ordered:
        before = [
            other
            for other in partners.get(clip.clip_id, ())
            if rank[other] < rank[clip.clip_id] and other not in duplicates
        ]
        if before:
            duplicates[clip.clip_id] = min(before, key=rank.__getitem__)
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


def all_candidates(clips: Sequence[_HashedClip], max_difference: float) -> list[tuple[int, int]]:
    """Compare all clips: pairs of different sources, the first one first, that share some similar hashes.

    One matrix product compares many pairs: of vectors of +1 and -1 it is equal bits minus differing bits.
    """
    candidates: set[tuple[int, int]] = set()
    if not clips:
        return []
    bits = max(one.packed.shape[1] for one in clips) * 8
    probes = [_probes(one.hashes) for one in clips]
    for columns in _batches([len(one.packed) for one in clips]):
        theirs = _signs([clips[j].hashes for j in columns])
        starts = np.cumsum([0, *(len(clips[j].packed) for j in columns)])[:-1]
        for rows in _batches([len(probe) for probe in probes]):
            alike = _signs([probes[i] for i in rows]) @ theirs.T
            closest = np.maximum.reduceat(alike, starts, axis=1) >= bits * (1 - 2 * max_difference)
            first = np.cumsum([0, *(len(probes[i]) for i in rows)])[:-1]
            for i, j in np.argwhere(np.add.reduceat(closest, first, axis=0, dtype=int) >= _MIN_PROBES):
                one, other = sorted((rows[i], columns[j]))
                if clips[one].source != clips[other].source:
                    candidates.add((one, other))
    return sorted(candidates)


def _probes(hashes: Bits) -> Bits:
    """Return evenly spaced hashes of a clip, then their mirrored versions."""
    chosen = hashes[:: max(len(hashes) // _PROBES, 1)]
    return np.concatenate([chosen, mirrored(chosen)])


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


def _packed(hashes: Sequence[str]) -> Bits:
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1)
