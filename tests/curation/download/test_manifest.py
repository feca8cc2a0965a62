"""Manifests of strangers: invalid content is one line, before anything is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.release.manifest import read_manifest
from curation.release.release import ReleaseError

ROW: dict[str, Any] = {
    "clip_id": "0123456789abcdef",
    "source": "youtube",
    "source_id": "dQw4w9WgXcQ",
    "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    "start_pts": 0,
    "end_pts": 100,
    "time_base_num": 1,
    "time_base_den": 25,
    "start_s": 0.0,
    "end_s": 4.0,
    "fps": 25.0,
    "width": 320,
    "height": 320,
    "num_frames": 100,
    "crop_xyxy": [0.25, 0.0, 0.75, 1.0],
    "sha256": "ab" * 32,
    "phash": "0123456789abcdef" * 3,
    "source_sha256": "cd" * 32,
}


def manifest(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "train-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def test_a_valid_manifest(tmp_path):
    (row,) = read_manifest(manifest(tmp_path, ROW))
    assert row.split == "train" and row.crop_xyxy == (0.25, 0.0, 0.75, 1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clip_id", "../../x"),
        ("clip_id", ""),
        ("clip_id", "a" * 300),
        ("num_frames", 0),
        ("num_frames", None),
        ("fps", 0.0),
        ("fps", float("nan")),
        ("fps", float("inf")),
        ("width", 0),
        ("height", None),
        ("width", 100_000),
        ("end_pts", 0),
        ("time_base_den", 0),
        ("crop_xyxy", [0.25, 0.0, 0.75]),
        ("crop_xyxy", [0.75, 0.0, 0.25, 1.0]),
        ("crop_xyxy", [0.25, 0.5, 0.75, 0.5]),
        ("crop_xyxy", [0.25, 0.0, 0.250001, 1.0]),
        ("crop_xyxy", None),
        ("phash", "xyz"),
        ("phash", ""),
        ("phash", None),
    ],
)
def test_an_invalid_row_is_one_line(tmp_path, name, value):
    with pytest.raises(ReleaseError, match="download the release again") as error:
        read_manifest(manifest(tmp_path, {**ROW, name: value}))
    assert "\n" not in str(error.value) and "train-00000" in str(error.value)


def test_repeated_clips_missing_columns_and_damaged_files(tmp_path):
    with pytest.raises(ReleaseError, match="twice"):
        read_manifest(manifest(tmp_path, ROW, ROW))
    with pytest.raises(ReleaseError, match="no column phash"):
        read_manifest(manifest(tmp_path, {name: value for name, value in ROW.items() if name != "phash"}))
    (tmp_path / "train-00000-of-00001.parquet").write_bytes(b"PAR1 rubbish")
    with pytest.raises(ReleaseError, match="invalid Parquet"):
        read_manifest(tmp_path)
