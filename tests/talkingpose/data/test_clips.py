"""Dataset reader: clips of valid datasets, and one line for invalid ones."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset

from talkingpose.data.clips import ClipDataset, fingerprint, load_clips
from talkingpose.data.schema import COLUMNS, CONFIGS, SCORES, DatasetError, features
from talkingpose.io.errors import UserError
from talkingpose.media import VideoWriter

CARD = """---
configs:
- config_name: clips
  default: true
  data_files:
  - split: test
    path: clips/test-*.parquet
  - split: train
    path: clips/train-*.parquet
---
"""


def row(clip_id: str, num_frames: int = 5, **changes: object) -> dict[str, object]:
    keypoints = np.random.default_rng(num_frames).random((num_frames, 133, 3)).astype(np.float16)
    values: dict[str, object] = {
        "clip_id": clip_id,
        "source": "file",
        "source_id": f"source of {clip_id}",
        "fps": 30000 / 1001,
        "width": 64,
        "height": 48,
        "num_frames": num_frames,
        "video": {"bytes": f"film {clip_id}".encode(), "path": f"{clip_id}.mp4"},
        "keypoints": keypoints,
        "boxes": [[0.0, 0.0, 1.0, 1.0]] * num_frames,
        "scores": dict.fromkeys(SCORES),
        "sha256": "0" * 64,
    }
    return dict.fromkeys(COLUMNS["clips"]) | values | changes


def write(folder: Path, rows: dict[str, list[dict[str, object]]], card: str = CARD) -> Path:
    (folder / "clips").mkdir(parents=True)
    for split, members in rows.items():
        dataset = Dataset.from_list(members, features=features("clips"))
        dataset.to_parquet(folder / "clips" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(card)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(
        tmp_path / "data", {"train": [row("b", 7), row("a", 5)], "test": [row("c", 6, person_id="p")]}
    )


def test_clips_are_sorted_with_exact_rates_and_groups(folder: Path) -> None:
    dataset = ClipDataset(str(folder))
    assert dataset.splits == ("train", "test")
    clips = dataset.clips("train")
    assert [clip.clip_id for clip in clips] == ["a", "b"]
    assert clips[0].fps == Fraction(30000, 1001)
    assert clips[0].group == "source of a"
    assert dataset.clips("test")[0].group == "p"


def test_video_and_keypoints_round_trip(folder: Path) -> None:
    dataset = ClipDataset(str(folder))
    clip = dataset.clips("train")[1]
    assert dataset.video(clip) == b"film b"
    expected = np.asarray(row("b", 7)["keypoints"], dtype=np.float32)
    np.testing.assert_array_equal(dataset.keypoints(clip), expected)


def test_load_dataset_reads_the_same(folder: Path, tmp_path: Path) -> None:
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "test"}
    assert list(loaded["train"].features) == list(COLUMNS["clips"])


def test_manifest_has_no_pixel_and_no_keypoint() -> None:
    assert set(CONFIGS) == set(COLUMNS)
    assert not {"video", "keypoints", "boxes"} & set(COLUMNS["manifest"])
    assert "video" not in COLUMNS["annotations"]
    for config in CONFIGS:
        assert tuple(features(config)) == COLUMNS[config]


def test_fingerprint_is_independent_of_order(folder: Path) -> None:
    clips = ClipDataset(str(folder)).clips("train")
    assert fingerprint(clips) == fingerprint(clips[::-1])
    assert fingerprint(clips) != fingerprint(clips[:1])


def test_missing_column_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "clips").mkdir(parents=True)
    Dataset.from_dict({"clip_id": ["a"], "fps": [25.0]}).to_parquet(folder / "clips" / "train-0.parquet")
    (folder / "README.md").write_text(CARD.replace("  - split: test\n    path: clips/test-*.parquet\n", ""))
    with pytest.raises(DatasetError, match="no column width, height, num_frames, video, keypoints"):
        ClipDataset(str(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip_id": "../evil"}, "clip id"),
        ({"clip_id": ".hidden"}, "clip id"),
        ({"fps": 0.0}, "out of range"),
        ({"num_frames": -1}, "out of range"),
        ({"fps": float("nan")}, "out of range"),
        ({"width": None}, "out of range"),
    ],
)
def test_invalid_rows_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    folder = write(tmp_path / "data", {"train": [row("a", 5) | changes], "test": [row("c")]})
    with pytest.raises(DatasetError, match=message):
        ClipDataset(str(folder)).clips("train")


def test_number_of_clips_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talkingpose.data.clips._MAX_CLIPS", 1)
    with pytest.raises(DatasetError, match="more than 1 clips"):
        ClipDataset(str(folder))


def test_repeated_clip_id_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"train": [row("a"), row("a")], "test": [row("c")]})
    with pytest.raises(DatasetError, match="occurs twice"):
        ClipDataset(str(folder)).clips("train")


def test_wrong_number_of_keypoints_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"train": [row("a", 5) | {"num_frames": 6}], "test": [row("c")]})
    dataset = ClipDataset(str(folder))
    with pytest.raises(DatasetError, match="5 rows of keypoints for 6 frames"):
        dataset.keypoints(dataset.clips("train")[0])


def test_path_without_bytes_is_refused(tmp_path: Path) -> None:
    local = {"bytes": b"", "path": "somewhere/a.mp4"}
    folder = write(tmp_path / "data", {"train": [row("a", video=local)], "test": [row("c")]})
    dataset = ClipDataset(str(folder))
    with pytest.raises(DatasetError, match="holds no video bytes"):
        dataset.video(dataset.clips("train")[0])


@pytest.mark.parametrize("kind", ["absolute", "parent", "link to a file", "link to a folder", "fifo"])
def test_paths_of_a_card_stay_inside_the_dataset(tmp_path: Path, kind: str) -> None:
    outside = write(tmp_path / "outside", {"train": [row("secret")]}) / "clips"
    folder = write(tmp_path / "data", {"train": [row("a")], "test": [row("c")]})
    pattern = "linked/*.parquet"
    if kind == "absolute":
        pattern = f"{outside}/*.parquet"
    elif kind == "parent":
        pattern = "../outside/clips/*.parquet"
    elif kind == "link to a folder":
        (folder / "linked").symlink_to(outside)
    else:
        (folder / "linked").mkdir()
        target = folder / "linked" / "train.parquet"
        if kind == "fifo":
            os.mkfifo(target)
        else:
            target.symlink_to(next(outside.iterdir()))
    (folder / "README.md").write_text(CARD.replace("clips/train-*.parquet", pattern))
    with pytest.raises(DatasetError, match="dataset"):
        ClipDataset(str(folder))


def test_files_of_the_hub_cache_are_links(tmp_path: Path) -> None:
    repository = tmp_path / "datasets--a--b"
    folder = write(repository / "snapshots" / "0123", {"train": [row("a")], "test": [row("c")]})
    (repository / "blobs").mkdir()
    for file in (folder / "clips").iterdir():
        blob = repository / "blobs" / file.name
        file.rename(blob)
        file.symlink_to(blob)
    assert [clip.clip_id for clip in ClipDataset(str(folder)).clips("train")] == ["a"]


@pytest.mark.parametrize("header", ["a: &a [x]\nb: *a", "[" * 200, "a: " + "x" * 2_000_000, "a: .inf"])
def test_absurd_card_is_one_line(tmp_path: Path, header: str) -> None:
    folder = write(tmp_path / "data", {"train": [row("a")]}, f"---\n{header}\n---\n")
    with pytest.raises(UserError) as error:
        ClipDataset(str(folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "card", ["", "---\n: [\n---\n", "---\nconfigs: 3\n---\n", "no header", "---\nlicense: mit\n---\n"]
)
def test_cards_without_clips_are_refused(tmp_path: Path, card: str) -> None:
    folder = write(tmp_path / "data", {"train": [row("a")]}, card)
    with pytest.raises(UserError, match="dataset"):
        ClipDataset(str(folder))


def test_other_folders_are_refused(tmp_path: Path) -> None:
    for location in (str(tmp_path), str(tmp_path / "nowhere"), "./a/b", "../x"):
        with pytest.raises(DatasetError) as error:
            ClipDataset(location)
        assert "\n" not in str(error.value)


def test_dataset_without_clips_is_empty(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\ntags:\n- pose\n- talkingpose\n---\n")
    assert load_clips(tmp_path) == []
    with pytest.raises(DatasetError, match="no split 'test'"):
        ClipDataset(str(tmp_path)).clips("test")


def test_unknown_split_names_the_known_ones(folder: Path) -> None:
    with pytest.raises(DatasetError, match="train, test"):
        ClipDataset(str(folder)).clips("validation")


def test_hub_without_network_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DatasetError, match="copy the dataset here") as error:
        ClipDataset("nobody/nothing-of-this-name@v1")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("broken", [None, [[[0.5] * 3] * 132], [[[0.5] * 2] * 133], []])
def test_keypoints_of_another_shape_are_refused(tmp_path: Path, broken: object) -> None:
    folder = write(tmp_path / "data", {"train": [row("a", 1)], "test": [row("c")]})
    file = folder / "clips" / "train-00000-of-00001.parquet"
    table = pq.read_table(file)
    kind = pa.list_(pa.list_(pa.list_(pa.float32())))
    place = table.schema.get_field_index("keypoints")
    pq.write_table(table.set_column(place, "keypoints", pa.array([broken], kind)), file)
    dataset = ClipDataset(str(folder))
    with pytest.raises(DatasetError, match="keypoints"):
        dataset.keypoints(dataset.clips("train")[0])


def test_single_frames_are_those_of_a_full_decode_and_pairs_depend_on_seed_and_epoch(
    tmp_path: Path,
) -> None:
    """Key frames every 5 frames, NTSC times, three clips in two splits."""
    rows = []
    for number in range(3):
        rng = np.random.default_rng(number)
        video = tmp_path / f"{number}.mp4"
        with VideoWriter(video, fps=Fraction(30000, 1001), preset="ultrafast", gop=5) as writer:
            for _ in range(23):
                writer.write(np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8))
        cell = {"bytes": video.read_bytes(), "path": video.name}
        rows.append(row(f"clip-{number}", 23, video=cell))
    folder = write(tmp_path / "set", {"test": rows[:1], "train": rows[1:]})
    clips = load_clips(folder)
    everything = list(clips[0].frames())
    for index, image in zip(range(23), clips[0].frames_at(range(23)), strict=True):
        assert np.array_equal(image, everything[index])

    pairs = load_clips(folder, shuffle=3, frames="random pair")
    assert [clip.clip_id for clip in load_clips(folder, shuffle=3)] == [pair.clip_id for pair in pairs]
    first = pairs[1]
    whole = {clip.clip_id: list(clip.frames()) for clip in clips}
    assert first.indices[0] != first.indices[1]
    assert np.array_equal(first.target, whole[first.clip_id][first.indices[1]])
    again = load_clips(folder, shuffle=3, frames="random pair")
    assert again[1].indices == first.indices
    assert np.array_equal(again[1].target_keypoints, first.target_keypoints)
    again.set_epoch(1)
    assert [pair.indices for pair in again] != [pair.indices for pair in pairs]
    with pytest.raises(DatasetError, match="random pair"):
        load_clips(folder, frames="all")  # type: ignore[call-overload]
