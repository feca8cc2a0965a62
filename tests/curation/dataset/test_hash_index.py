"""Search by locality-sensitive hashing: the pairs of the search of all against all."""

from __future__ import annotations

import numpy as np
import pytest

from curation.dataset.dedup import (
    _HashedClip,
    all_candidates,
    banded_candidates,
    mirrored,
    nearest,
)
from curation.dataset.hash_index import num_bands, similar_clips
from curation.settings import DuplicatesSettings

SETTINGS = DuplicatesSettings(max_difference=0.06, min_overlap=0.5)


def talk(rng: np.random.Generator, room: np.ndarray, count: int) -> np.ndarray:
    """Hashes of someone who talks in a room; 3 % of the bits change from one to the next."""
    start = room ^ (rng.random(256) < 0.06)
    return np.asarray(start ^ (np.cumsum(rng.random((count, 256)) < 0.03, axis=0) & 1), np.uint8)


def copied(rng: np.random.Generator, bits: np.ndarray) -> np.ndarray:
    """A copy that differs in up to 10 % of the bits: noise, or a logo that changes the same bits always."""
    rate = rng.uniform(0, 0.1)
    begin = int(rng.integers(0, len(bits) // 3))
    copy = bits[begin : begin + int(rng.integers(len(bits) // 2, len(bits)))]
    if rng.random() < 0.3:
        copy = mirrored(copy)
    if rng.random() < 0.3:
        copy = copy[(np.arange(int(len(copy) / 1.25)) * 1.25).astype(int)]
    hidden = rng.random(256) < rate * 0.8
    still = rng.random() < 0.5
    noise = rng.random(copy.shape) < (rate * 0.2 if still else rate)
    return np.asarray(copy ^ noise ^ (hidden & still), np.uint8)


def clips_of(seed: int, talks: int = 60, copies: int = 90) -> list[_HashedClip]:
    rng = np.random.default_rng(seed)
    rooms = rng.integers(0, 2, (6, 256)).astype(np.uint8)
    made = [talk(rng, rooms[index % 6], int(rng.integers(20, 60))) for index in range(talks)]
    made += [copied(rng, made[int(rng.integers(talks))]) for _ in range(copies)]
    return [
        _HashedClip(f"source {index}", f"clip-{index:04}", np.packbits(bits, axis=1))
        for index, bits in enumerate(made)
    ]


@pytest.mark.parametrize(("seed", "difference"), [(1, 0.06), (2, 0.09)])
def test_the_pairs_of_all_against_all_are_found(seed: int, difference: float) -> None:
    clips = clips_of(seed)
    expected = [
        pair
        for pair in all_candidates(clips, difference)
        if nearest(clips[pair[0]].hashes, clips[pair[1]].hashes, SETTINGS.min_overlap) <= difference
    ]
    found = set(banded_candidates(clips, difference))
    assert len(expected) > 60
    assert found <= set(all_candidates(clips, difference))
    assert len(found & set(expected)) >= 0.999 * len(expected)


def test_a_title_card_that_all_share_costs_no_pair_of_all() -> None:
    """Hashes that hundreds of clips share are compared with few neighbours; copies share other hashes."""
    rng = np.random.default_rng(3)
    card = rng.integers(0, 2, (5, 256))
    made = [np.concatenate([card, rng.integers(0, 2, (20, 256))]) for _ in range(300)]
    made.append(made[0] ^ (rng.random(made[0].shape) < 0.02))
    hashes = np.concatenate([np.packbits(bits.astype(np.uint8), axis=1) for bits in made])
    owners = np.repeat(np.arange(301, dtype=np.int32), 25)
    pairs = similar_clips(hashes, owners, np.arange(301, dtype=np.int32), 15)
    assert [0, 300] in pairs.tolist()
    assert len(pairs) < 301 * 60


def test_bands_are_given_up_where_too_many_bits_may_differ() -> None:
    assert num_bands(256, 15) == (34, 32) and num_bands(256, 0) == (1, 32)
    assert num_bands(256, 60) is None
