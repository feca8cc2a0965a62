"""The same footage in two sources."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from curation.config import load_config
from curation.dataset.dedup import distance, find_duplicates
from curation.dataset.perceptual_hash import perceptual_hashes
from curation.detect.measurements import Box
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


def test_an_enlarged_excerpt_does_not_stand_for_the_whole():
    talk = looks(1, 60)
    records = [record("a", {"whole": (talk, 512)}), record("b", {"excerpt": (encoded(talk)[10:35], 720)})]
    assert find_duplicates(records, SETTINGS) == {"excerpt": "whole"}


@pytest.mark.parametrize("at_once", [1, 100, 10_000])
def test_copies_are_found_among_many_whatever_is_compared_at_once(monkeypatch, at_once):
    monkeypatch.setattr("curation.dataset.dedup._LOOKS_AT_ONCE", at_once)
    records = [record(f"s{i:02}", {f"c{i:02}": (looks(i, 12 + i), 64)}) for i in range(20)]
    records += [
        record(f"t{i:02}", {f"d{i:02}": (encoded(looks(i, 12 + i), i)[2:], 64)}) for i in range(0, 20, 3)
    ]
    assert find_duplicates(records, SETTINGS) == {f"d{i:02}": f"c{i:02}" for i in range(0, 20, 3)}


def speaker(time: float, size: tuple[int, int]) -> np.ndarray:
    """A head that nods and hands that move, before a wall, at any moment; RGB."""
    width, height = size
    wall = np.random.default_rng(0).integers(60, 140, (6, 8)).astype(np.uint8)
    picture = cv2.resize(wall, size, interpolation=cv2.INTER_CUBIC)
    dots = [(0.5 + 0.02 * np.sin(time), 0.3 + 0.02 * np.sin(2 * time), 0.12, 220)]
    dots += [(0.3 + 0.08 * np.sin(3 * time), 0.7 + 0.1 * np.cos(2.5 * time), 0.05, 200)]
    dots += [(0.7 + 0.07 * np.cos(2 * time), 0.75 + 0.1 * np.sin(3 * time), 0.05, 200)]
    for x, y, radius, level in dots:
        cv2.circle(
            picture, (round(x * width), round(y * height)), round(radius * height), level, -1, cv2.LINE_AA
        )
    return np.repeat(picture[:, :, None], 3, axis=2)


def looks_of(times: np.ndarray, size: tuple[int, int], bars: int = 0) -> np.ndarray:
    edge = bars / (size[0] + 2 * bars)
    picture = Box(edge, 0, 1 - edge, 1)
    frames = (np.pad(speaker(time, size), ((0, 0), (bars, bars), (0, 0))) for time in times)
    found: list[str] = []
    assert len(list(perceptual_hashes(frames, times.tolist(), picture, found))) == len(times)
    return np.array([np.unpackbits(np.frombuffer(bytes.fromhex(one), np.uint8)) for one in found])


def test_a_copy_cut_anywhere_at_another_rate_and_size_within_bars_looks_the_same():
    whole = looks_of(np.arange(0, 10, 1 / 25), (320, 240))
    assert len(whole) == 100
    for begin in (1.0, 2.03, 3.05, 4.07):
        copy = looks_of(begin + np.arange(0, 4, 1 / 30), (256, 192), bars=40)
        assert len(copy) == 40
        assert distance(whole, copy, 0.5) <= SETTINGS.max_difference
    other = looks_of(100 + np.arange(0, 4, 1 / 25), (320, 240))
    assert distance(whole[:40], other, 1.0) > SETTINGS.max_difference


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
