"""Duplicates: the same footage in two sources."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from curation.config import load_config
from curation.dataset.dedup import _packed, distance, find_duplicates, mirrored
from curation.dataset.perceptual_hash import PersonHashes, perceptual_hashes
from curation.detect.measurements import Box
from curation.records import ClipRecord, SourceRecord
from curation.synthetic.identity import draw_identity
from curation.synthetic.motion import Motion
from curation.synthetic.render import Scene
from talkingpose.pose import mirror

SETTINGS = load_config().export.duplicates


def moving_hashes(seed: int, count: int = 30) -> np.ndarray:
    """Hashes of a moving picture: each shares most of its bits with the one before."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, 256).astype(np.uint8)
    found = []
    for _ in range(count):
        bits = bits ^ (rng.random(256) < 0.15)
        found.append(bits)
    return np.array(found)


def encoded(bits: np.ndarray, seed: int = 9, share: float = 0.03) -> np.ndarray:
    """The same hashes after another encoding."""
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


def test_another_encoding_is_found_at_any_offset_and_the_larger_one_stays():
    talk, other = moving_hashes(1, 40), moving_hashes(2)
    records = [
        record("a", {"large": (talk[:30], 512), "other": (other, 512)}),
        record("b", {"small": (encoded(talk)[8:38], 256)}),
        record("c", {"piece": (encoded(talk, 3)[10:22], 128)}),
    ]
    wanted = {"small": "large", "piece": "large"}
    assert find_duplicates(records, SETTINGS) == wanted
    assert find_duplicates(records[::-1], SETTINGS) == wanted
    assert find_duplicates(records, None) == {}


def test_an_enlarged_excerpt_does_not_replace_the_whole():
    talk = moving_hashes(1, 60)
    records = [record("a", {"whole": (talk, 512)}), record("b", {"excerpt": (encoded(talk)[10:35], 720)})]
    assert find_duplicates(records, SETTINGS) == {"excerpt": "whole"}


@pytest.mark.parametrize("at_once", [1, 100, 10_000])
def test_copies_are_found_among_many_with_any_batch_size(monkeypatch, at_once):
    monkeypatch.setattr("curation.dataset.dedup._HASHES_AT_ONCE", at_once)
    records = [record(f"s{i:02}", {f"c{i:02}": (moving_hashes(i, 12 + i), 64)}) for i in range(20)]
    records += [
        record(f"t{i:02}", {f"d{i:02}": (encoded(moving_hashes(i, 12 + i), i)[2:], 64)})
        for i in range(0, 20, 3)
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


def hashes_of(times: np.ndarray, size: tuple[int, int], bars: int = 0) -> np.ndarray:
    edge = bars / (size[0] + 2 * bars)
    picture = Box(edge, 0, 1 - edge, 1)
    frames = (np.pad(speaker(time, size), ((0, 0), (bars, bars), (0, 0))) for time in times)
    found: list[str] = []
    assert len(list(perceptual_hashes(frames, times.tolist(), picture, found))) == len(times)
    return np.array([np.unpackbits(np.frombuffer(bytes.fromhex(one), np.uint8)) for one in found])


def test_a_copy_with_another_start_rate_size_and_bars_is_found():
    whole = hashes_of(np.arange(0, 6, 1 / 25), (320, 240))
    assert len(whole) == 60
    for begin in (1.0, 2.03, 2.95):
        copy = hashes_of(begin + np.arange(0, 3, 1 / 30), (256, 192), bars=40)
        assert len(copy) == 30
        assert distance(whole, copy, 0.5) <= SETTINGS.max_difference
    other = hashes_of(100 + np.arange(0, 3, 1 / 25), (320, 240))
    assert distance(whole[:30], other, 1.0) > SETTINGS.max_difference


def test_another_moment_of_one_talk_is_not_a_duplicate():
    talk = moving_hashes(1, 200)
    moments = [record("a", {"early": (talk[:30], 512)}), record("b", {"late": (talk[100:130], 512)})]
    assert find_duplicates(moments, SETTINGS) == {}


def test_a_source_may_repeat_itself_and_clips_without_hashes_are_ignored():
    talk = moving_hashes(1)
    assert find_duplicates([record("a", {"x": (talk, 64), "y": (talk, 64)})], SETTINGS) == {}
    empty = np.zeros((0, 256), np.uint8)
    assert find_duplicates([record("a", {"x": (empty, 64)}), record("b", {"y": (empty, 64)})], SETTINGS) == {}


def test_distance_is_the_share_of_bits_at_the_best_offset():
    talk = moving_hashes(1)
    flipped = talk.copy()
    flipped[:, :32] ^= 1
    assert distance(talk, flipped[5:], 0.5) == pytest.approx(32 / 256)
    assert distance(talk[:4], talk[20:], 1.0) > 0.2


@pytest.fixture(scope="module")
def talks() -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Two speakers, and the first one with another talk: frames with keypoints, ten a second."""
    clips = []
    for person, motion in ((7001, 7001), (7002, 7002), (7001, 7009)):
        scene, moves = Scene(draw_identity(person), 256), Motion(motion, fps=10.0)
        clips.append([scene.render(moves.at(index)) for index in range(40)])
    return clips


def copied(name: str, clip: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """A copy of a clip."""
    if name == "mirrored":
        return [(image[:, ::-1], mirror(points)) for image, points in clip]
    if name == "sped up":
        return [clip[int(index * 1.25)] for index in range(int(len(clip) / 1.25))]
    if name == "cropped":
        moved = []
        for image, points in clip:
            own = points.copy()
            own[:, :2] = (points[:, :2] * 256 - (20, 12)) / (220, 230)
            moved.append((image[12:242, 20:240], own))
        return moved
    rng = np.random.default_rng(0)  # re-encoded: noise, and another size
    return [
        (cv2.resize(np.uint8(np.clip(image + rng.normal(0, 4, image.shape), 0, 255)), (200, 200)), points)
        for image, points in clip
    ]


def looks_of(clip: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[str, ...]]:
    whole: list[str] = []
    times = [index / 10 for index in range(len(clip))]
    list(perceptual_hashes((image for image, _ in clip), times, Box(0, 0, 1, 1), whole))
    persons = PersonHashes(times)
    for image, points in clip:
        persons.add(image, points)
    return {"looks": tuple(whole), "person_looks": tuple(persons.hashes)}


def source(name: str, clip: list[tuple[np.ndarray, np.ndarray]]) -> SourceRecord:
    made = record(name, {name: (np.zeros((1, 256), np.uint8), 64)})
    (row,) = made.clips
    return made.model_copy(update={"clips": (row.model_copy(update=looks_of(clip)),)})


@pytest.mark.parametrize("kind", ["mirrored", "sped up", "cropped", "re-encoded"])
def test_changed_copies_are_found_and_other_talks_are_not(talks, kind):
    one, other, again = (source(name, clip) for name, clip in zip("abc", talks, strict=True))
    copy = source("d", copied(kind, talks[0]))
    assert find_duplicates([one, other, again, copy], SETTINGS) == {"d": "a"}


def test_mirrored_hashes_are_those_of_mirrored_pictures(talks):
    frames = talks[0][:8]
    plain, turned = (
        np.unpackbits(_packed(looks_of(clip)["looks"]), axis=1)
        for clip in (frames, [(i[:, ::-1], p) for i, p in frames])
    )
    assert (mirrored(plain) != turned).mean() < 0.03
    assert (plain != turned).mean() > 0.2


def test_a_frame_without_a_face_repeats_the_hash_before(talks):
    hashes = PersonHashes([0.0, 0.04, 0.1, 0.2])
    (image, points), *_ = talks[0]
    for keypoints in (points, points, np.zeros_like(points), points):
        hashes.add(image, keypoints)
    assert len(hashes.hashes) == 3 and len(set(hashes.hashes)) == 1
