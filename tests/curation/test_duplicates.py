"""The same footage in two sources."""

from __future__ import annotations

import numpy as np
import pytest

from curation.config import load_config
from curation.duplicates import distance, find_duplicates
from curation.records import ClipRecord, SourceRecord

SETTINGS = load_config().export.duplicates


def looks(seed: int, count: int = 30) -> np.ndarray:
    """Hashes of something that moves: each shares most of its bits with the one before."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, 256).astype(np.uint8)
    found = []
    for _ in range(count):
        bits = bits ^ (rng.random(256) < 0.15)
        found.append(bits)
    return np.array(found)


def encoded(bits: np.ndarray, seed: int = 9, share: float = 0.03) -> np.ndarray:
    """The same after another encoding."""
    return bits ^ (np.random.default_rng(seed).random(bits.shape) < share)


def record(source: str, clips: dict[str, tuple[np.ndarray, int]]) -> SourceRecord:
    rows = tuple(
        ClipRecord(
            clip_id=name,
            start_pts=0,
            end_pts=1,
            time_base_num=1,
            time_base_den=25,
            start_s=0,
            end_s=1,
            fps=25,
            width=side,
            height=side,
            num_frames=len(bits) * 5,
            crop_xyxy=(0, 0, 1, 1),
            scores={},
            sha256="",
            phash="",
            num_bytes=1,
            looks=tuple(np.packbits(row).tobytes().hex() for row in bits),
        )
        for name, (bits, side) in clips.items()
    )
    known = {"source_sha256": None, "recipe": "", "config_hash": "", "tool_versions": {}, "error": None}
    return SourceRecord(source="file", source_id=source, name=source, clips=rows, **known)


def test_another_encoding_is_known_at_any_offset_and_the_larger_one_stays():
    talk, other = looks(1, 40), looks(2)
    records = [
        record("a", {"large": (talk[:30], 512), "other": (other, 512)}),
        record("b", {"small": (encoded(talk)[8:38], 256)}),
        record("c", {"piece": (encoded(talk, 3)[10:22], 128)}),
    ]
    wanted = {"small": "large", "piece": "large"}
    assert find_duplicates(records, SETTINGS) == wanted
    assert find_duplicates(records[::-1], SETTINGS) == wanted
    assert find_duplicates(records, None) == {}


def test_another_moment_of_one_talk_is_no_duplicate():
    talk = looks(1, 200)
    moments = [record("a", {"early": (talk[:30], 512)}), record("b", {"late": (talk[100:130], 512)})]
    assert find_duplicates(moments, SETTINGS) == {}


def test_a_source_may_repeat_itself_and_clips_without_hashes_say_nothing():
    talk = looks(1)
    assert find_duplicates([record("a", {"x": (talk, 64), "y": (talk, 64)})], SETTINGS) == {}
    empty = np.zeros((0, 256), np.uint8)
    assert find_duplicates([record("a", {"x": (empty, 64)}), record("b", {"y": (empty, 64)})], SETTINGS) == {}


def test_distance_is_the_share_of_bits_at_the_best_offset():
    talk = looks(1)
    flipped = talk.copy()
    flipped[:, :32] ^= 1
    assert distance(talk, flipped[5:], 0.5) == pytest.approx(32 / 256)
    assert distance(talk[:4], talk[20:], 1.0) > 0.2
