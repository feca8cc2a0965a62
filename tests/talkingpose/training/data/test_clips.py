"""A dataset of the project's schema as a source of training frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from talkingpose.data.schema import COLUMNS, features
from talkingpose.media import VideoWriter
from talkingpose.training.config import checked
from talkingpose.training.data.clips import ClipPairs
from talkingpose.training.errors import TrainingError
from talkingpose.training.loop import train

CARD = """---
configs:
- config_name: clips
  data_files:
  - split: train
    path: clips/train-*.parquet
  - split: validation
    path: clips/validation-*.parquet
---
"""
SIDE = 48


def clip(folder: Path, name: str, length: int) -> dict[str, Any]:
    """Frame k is grey of level 5 k; the nose is at x = k / 100."""
    path = folder / f"{name}.mp4"
    with VideoWriter(path, fps=Fraction(25), lossless=True) as writer:
        for index in range(length):
            writer.write(np.full((SIDE, SIDE, 3), 5 * index, np.uint8))
    keypoints = np.zeros((length, 133, 3), np.float16)
    keypoints[:, 0] = np.stack([np.arange(length) / 100, np.full(length, 0.5), np.ones(length)], axis=1)
    known = {
        "clip_id": name,
        "fps": 25.0,
        "width": SIDE,
        "height": SIDE,
        "num_frames": length,
        "video": {"bytes": path.read_bytes(), "path": path.name},
        "keypoints": keypoints,
    }
    return dict.fromkeys(COLUMNS["clips"]) | known


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "clips").mkdir()
    members = {"train": [clip(folder, "a", 30), clip(folder, "b", 12)], "validation": [clip(folder, "c", 25)]}
    for split, rows in members.items():
        table = Dataset.from_list(rows, features=features("clips"))
        table.to_parquet(folder / "clips" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(CARD)
    return folder


def test_frames_come_with_their_own_keypoints(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ClipPairs(str(dataset))
    assert len(source) == 1
    assert "1 of 2 have under 20 frames: left out" in capsys.readouterr().err
    for index, (image, keypoints) in zip((17, 3), source.frames(0, (17, 3), 32), strict=True):
        assert image.shape == (SIDE, SIDE, 3)
        assert np.abs(image.astype(int) - 5 * index).max() <= 1
        assert keypoints[0, 0] == pytest.approx(index / 100, abs=1e-3)


def test_a_split_of_short_clips_is_refused(dataset: Path) -> None:
    with pytest.raises(TrainingError, match="none of 2 clips has 50 frames"):
        ClipPairs(str(dataset), min_frames=50)


def test_trains_on_clips(dataset: Path, content: dict[str, Any]) -> None:
    options = {"dataset": str(dataset)}
    source = {"name": "clips", "options": options, "validation": {"split": "validation"}}
    assert train(checked(content | {"source": source, "steps": 2}, "test"))["steps"] == 2


def test_a_missing_column_is_refused(dataset: Path, content: dict[str, Any], tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    (tmp_path / "clips").mkdir()
    (tmp_path / "README.md").write_text(CARD)
    for file in (dataset / "clips").iterdir():
        pq.write_table(pq.read_table(file).drop_columns(["keypoints"]), tmp_path / "clips" / file.name)
    source = {"name": "clips", "options": {"dataset": str(tmp_path)}}
    with pytest.raises(TrainingError, match="no column keypoints"):
        train(checked(content | {"source": source}, "test"))
