"""Diffs of forgotten clips, applied to copies of a dataset."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import tp_curate
from datasets import load_dataset

from curation.release.forget_diff import read_diff, write_diff
from talkingpose import load_clips


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """The dataset as it is on the Hub."""
    return Path(shutil.copytree(made, tmp_path / "copy", ignore=shutil.ignore_patterns(".curation")))


def test_shards_have_a_page_index(made: Path) -> None:
    for path in made.glob("*/*.parquet"):
        column = pq.ParquetFile(path).metadata.row_group(0).column(0)
        assert column.has_offset_index and column.has_column_index


def test_a_source_that_is_forgotten_here_leaves_every_copy(made: Path, copy: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(made, tmp_path / "own"))
    before = {clip.clip_id: clip.source_id for clip in load_clips(own)}
    source = next(iter(before.values()))
    gone = sorted(clip for clip, origin in before.items() if origin == source)
    diff = tmp_path / "diff.json"
    code, _, error = tp_curate("forget", source, "--out", own, "--diff", diff)
    assert code == 0, error
    assert set(gone) <= read_diff(diff) and source not in diff.read_text()

    code, text, _ = tp_curate("forget", "--apply", diff, "--out", copy, "--json")
    applied = json.loads(text)
    assert code == 0 and applied["clips"] == gone and "verdicts.jsonl" in applied["files"]
    kept = {clip.clip_id: clip for clip in load_clips(copy)}
    assert set(kept) == set(before) - set(gone)
    for clip in kept.values():
        assert len(list(clip.frames())) == len(clip.keypoints) == clip.num_frames
    assert not any(clip in path.read_text() for clip in gone for path in copy.glob("*.jsonl"))
    rows = load_dataset(str(copy), "manifest", cache_dir=str(tmp_path / "cache"))
    assert {row["clip_id"] for split in rows.values() for row in split} == set(kept)
    # Again, and on a folder of tp-curate, which forgets the source.
    assert json.loads(tp_curate("forget", "--apply", diff, "--out", copy, "--json")[1])["clips"] == []
    third = Path(shutil.copytree(made, tmp_path / "third"))
    assert tp_curate("forget", "--apply", diff, "--out", third)[0] == 0
    assert {clip.clip_id for clip in load_clips(third)} == set(kept)


def test_a_diff_that_cannot_be_written_keeps_the_source(made: Path, tmp_path: Path) -> None:
    """The ids are known only until the clips are removed."""
    own = Path(shutil.copytree(made, tmp_path / "own"))
    clip = next(iter(load_clips(own)))
    diff = tmp_path / "diff.json"
    diff.write_text("{")
    code, _, error = tp_curate("forget", clip.source_id, "--out", own, "--diff", diff)
    assert code == 2 and "diff" in error and "Traceback" not in error
    diff.unlink()
    assert tp_curate("forget", clip.source_id, "--out", own, "--diff", diff)[0] == 0
    assert clip.clip_id in read_diff(diff)


def test_verdicts_with_odd_names_and_damaged_files_of_copies(copy: Path, tmp_path: Path) -> None:
    clip = next(iter(load_clips(copy))).clip_id
    diff = tmp_path / "diff.json"
    write_diff(diff, [clip])
    verdicts = copy / "verdicts.jsonl"
    verdicts.write_text('{"name": "a\u2028b\x85.mp4", "clip_id": null}\n' + verdicts.read_text())
    text = verdicts.read_text()
    verdicts.write_text(text + "{\n")
    code, _, error = tp_curate("forget", "--apply", diff, "--out", copy)
    assert code == 2 and "verdicts" in error and "Traceback" not in error
    verdicts.write_text(text)
    assert tp_curate("forget", "--apply", diff, "--out", copy)[0] == 0
    assert "\u2028" in verdicts.read_text() and clip not in verdicts.read_text()
    next(iter(copy.glob("manifest/*.parquet"))).write_bytes(b"PAR1")
    code, _, error = tp_curate("forget", "--apply", diff, "--out", copy)
    assert code == 2 and "Parquet" in error and "Traceback" not in error


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": "x"}', '{"schema": "talkingpose.forget/1", "clips": 3}']
)
def test_a_file_that_is_no_diff_is_refused(copy: Path, tmp_path: Path, text: str) -> None:
    diff = tmp_path / "diff.json"
    diff.write_text(text)
    code, _, error = tp_curate("forget", "--apply", diff, "--out", copy)
    assert code == 2 and "diff" in error and "Traceback" not in error


def test_wrong_uses_are_refused(copy: Path, tmp_path: Path) -> None:
    diff = tmp_path / "diff.json"
    diff.write_text('{"schema": "talkingpose.forget/1", "clips": []}')
    empty = tmp_path / "empty"
    empty.mkdir()
    for words in (
        ["forget", "--out", copy],
        ["forget", "x", "--apply", diff, "--out", copy],
        ["forget", "--apply", diff, "--out", empty],
        ["forget", "--apply", diff, "--diff", diff, "--out", copy],
    ):
        code, _, error = tp_curate(*words)
        assert code == 2 and "Traceback" not in error
