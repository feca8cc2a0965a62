"""Candidate pairs of similar hashes by banded locality-sensitive hashing, in nearly linear time.

Gionis, Indyk, Motwani: Similarity Search in High Dimensions via Hashing (VLDB 1999). A band is a random
sample of the bits of a hash. Hashes with equal bands are neighbours after a sort, and their full distance is
compared. Bands are independent of mirroring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt

# Probability that two hashes at the largest difference share one of the bands. Copies share many hashes.
_RECALL = 0.995
# Widest band at which hashes at the largest difference still agree with this probability.
_MIN_AGREEMENT = 0.1
_WIDTHS = (32, 24, 16)  # bits
_MAX_BANDS = 64
# Hashes with equal bands that a hash is compared with. They are sorted by further bits, so the nearest are
# compared; a title card that thousands of videos share costs no more than this.
_NEIGHBOURS = 48
_ROWS_AT_ONCE = 1 << 16
_WORD = 32
_SEED = 17

Packed = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


def num_bands(bits: int, max_bits: int) -> tuple[int, int] | None:
    """Return number and width of the bands that find hashes of at most `max_bits` different bits.

    None where so many bits may differ that bands are no help.
    """
    same = 1 - max_bits / bits
    width = next((width for width in _WIDTHS if width <= bits and same**width >= _MIN_AGREEMENT), None)
    if width is None:
        return None
    agreement = same**width
    bands = math.ceil(math.log(1 - _RECALL) / math.log(1 - agreement)) if agreement < 1 else 1
    return (bands, width) if bands <= _MAX_BANDS else None


def similar_clips(
    hashes: Packed, clips: npt.NDArray[np.int32], sources: npt.NDArray[np.int32], max_bits: int
) -> Rows:
    """Find pairs of clips of different sources with a similar hash, mirrored or not.

    Args:
        hashes: uint8 (N, bits / 8), clip by clip.
        clips: index of the clip of each hash, ascending, int32 (N,).
        sources: index of the source of each clip, int32 (clips,).
        max_bits: different bits of two similar hashes; `num_bands` must allow it. Pairs with up to twice as
            many are returned as well.

    Returns:
        Pairs of indices of clips, the smaller first, unique and sorted, int64 (pairs, 2).
    """
    found = np.zeros(0, np.int64)
    layout = num_bands(hashes.shape[1] * 8, max_bits)
    assert layout is not None
    num_clips = len(sources)
    for band, rest in _bands(hashes, *layout):
        for one, other in _neighbours(_distinct(band, clips), band, rest):
            first, second = clips[one], clips[other]
            apart = sources[first] != sources[second]
            one, other, first, second = one[apart], other[apart], first[apart], second[apart]
            near = _differing(hashes, one, other) <= 2 * max_bits
            low, high = np.minimum(first[near], second[near]), np.maximum(first[near], second[near])
            found = np.union1d(found, low.astype(np.int64) * num_clips + high)
    return np.stack(np.divmod(found, max(num_clips, 1)), axis=1)


def _bands(
    hashes: Packed, number: int, width: int
) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]]:
    """Yield for each band its bits and 32 further bits of every hash."""
    bits = hashes.shape[1] * 8
    side = round(bits**0.5)
    rng = np.random.default_rng(_SEED)
    per_order = max(bits // width, 1)
    while number > 0:
        order = rng.permutation(bits)
        odd = (order % side % 2).astype(np.uint8)
        words = [np.zeros(len(hashes), np.uint64) for _ in range(per_order)]
        for start in range(0, len(hashes), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            mixed = np.unpackbits(hashes[rows], axis=1)[:, order]
            for index, word in enumerate(words):
                part = slice(index * width, (index + 1) * width)
                word[rows] = _word(mixed[:, part], odd[part])
        for index in range(min(per_order, number)):
            yield words[index], words[(index + 1) % per_order]
        number -= per_order


def _word(bits: npt.NDArray[np.uint8], odd: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Read bits as numbers that are equal for mirrored pictures: mirroring flips all `odd` bits."""
    if odd.any():
        bits = bits ^ (bits[:, [int(odd.argmax())]] & odd)
    padded = np.zeros((len(bits), 8), np.uint8)
    packed = np.packbits(bits, axis=1)
    padded[:, 8 - packed.shape[1] :] = packed
    return padded.view(">u8")[:, 0].astype(np.uint64)


def _distinct(band: npt.NDArray[np.uint64], clips: npt.NDArray[np.int32]) -> Rows:
    """List the hashes without those that repeat the band of the one before in a still clip."""
    new = np.ones(len(band), bool)
    new[1:] = (band[1:] != band[:-1]) | (clips[1:] != clips[:-1])
    return np.flatnonzero(new)


def _neighbours(
    rows: Rows, band: npt.NDArray[np.uint64], rest: npt.NDArray[np.uint64]
) -> Iterator[tuple[Rows, Rows]]:
    """Yield pairs of hashes with equal bands, after a sort by the band and then by further bits."""
    keys = (band[rows] << np.uint64(_WORD)) | rest[rows]
    order = np.argsort(keys, kind="stable")  # the same order on every processor
    rows, values = rows[order], band[rows[order]]
    places = np.arange(len(rows))
    for step in range(1, _NEIGHBOURS + 1):
        places = places[: np.searchsorted(places, len(rows) - step)]
        places = places[values[places] == values[places + step]]
        if not len(places):
            return
        for start in range(0, len(places), _ROWS_AT_ONCE):
            part = places[start : start + _ROWS_AT_ONCE]
            yield rows[part], rows[part + step]


def _differing(hashes: Packed, one: Rows, other: Rows) -> npt.NDArray[np.int64]:
    """Count the different bits of pairs of hashes, as they are or mirrored, whichever is less."""
    side = round((hashes.shape[1] * 8) ** 0.5)
    odd = np.packbits((np.arange(hashes.shape[1] * 8) % side % 2).astype(np.uint8))
    changed = hashes[one] ^ hashes[other]
    return np.minimum(_ones(changed), _ones(changed ^ odd))


def _ones(packed: Packed) -> npt.NDArray[np.int64]:
    return np.asarray(_table()[packed.view(np.uint16)].sum(axis=1, dtype=np.int64))


@cache
def _table() -> npt.NDArray[np.uint8]:
    """Number of ones of each 16-bit value."""
    values = np.arange(1 << 16, dtype=">u2").view(np.uint8).reshape(-1, 2)
    return np.asarray(np.unpackbits(values, axis=1).sum(axis=1), np.uint8)
