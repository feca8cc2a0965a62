"""The leakage report lists what two splits share, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from curation.dataset.leakage import find_leakage


@dataclass
class Source:
    source_id: str
    uploader_id: str | None = None


@dataclass
class Clip:
    clip_id: str
    phash: str


@dataclass
class Row:
    source: Source
    clip: Clip
    split: str
    person_id: str | None = None


def phash(seed: int, flipped: int = 0) -> str:
    """Three random hashes, with some bits of each inverted."""
    bits = np.random.default_rng(seed).integers(0, 2, (3, 64), dtype=np.uint8)
    bits[:, :flipped] ^= 1
    return np.packbits(bits).tobytes().hex()


def row(name: str, split: str, look: str, *, person_id: str | None = None, **source) -> Row:
    return Row(Source(name, **source), Clip(f"clip-{name}-{split}", look), split, person_id)


def test_splits_without_anything_in_common_are_clean():
    rows = [row(f"s{i}", ("train", "test", "validation")[i % 3], phash(i)) for i in range(30)]
    found = find_leakage(rows)
    assert found.is_clean and found.num_look_alike == 0
    assert found.clips_without_person == found.clips == 30
    assert "unknown in 30 of 30 clips" in found.text()


@pytest.mark.parametrize("times", [3, 9])
def test_rows_of_more_hashes_are_compared_with_rows_of_three(times: int):
    three = phash(1)
    longer = "".join(three[16 * (k * 3 // times) :][:16] for k in range(times))
    found = find_leakage([row("a", "train", three), row("b", "test", longer), row("c", "test", phash(2))])
    assert [pair[:2] for pair in found.look_alike] == [("clip-a-train", "clip-b-test")]


def test_sources_persons_and_uploaders_in_two_splits_are_named():
    rows = [
        row("a", "train", phash(1), person_id="p", uploader_id="u"),
        row("b", "test", phash(2), person_id="p", uploader_id="u"),
        row("c", "train", phash(3), person_id="q"),
        row("c", "validation", phash(4), person_id="r"),
        row("d", "train", phash(5), uploader_id="v"),
        row("e", "train", phash(6), uploader_id="v"),
    ]
    found = find_leakage(rows)
    assert (found.sources, found.persons, found.uploaders) == (("c",), ("p",), ("u",))
    assert not found.is_clean and found.document()["is_clean"] is False


def test_the_same_footage_in_two_splits_is_found_by_its_hashes():
    rows = [
        row("a", "train", phash(1)),
        row("b", "test", phash(1, flipped=4)),
        row("c", "test", phash(1, flipped=20)),
        row("d", "train", phash(1)),  # similar clips within one split are no leak
        row("e", "validation", phash(9)),
    ]
    found = find_leakage(rows)
    assert found.look_alike == (
        ("clip-a-train", "clip-b-test", 4.0),
        ("clip-d-train", "clip-b-test", 4.0),
    )
    assert not found.is_clean
    assert "| pairs of similar clips | 2 |" in found.text()
