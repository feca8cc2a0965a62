"""The drawn dataset, once per session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.drawn_clips import CLIPS, row, video_bytes, write_dataset
from tests.benchmark.short_runs import short
from tests.benchmark.tiny_runs import tiny, tiny_rows, tiny_rules

__all__ = ["short", "tiny", "tiny_rows", "tiny_rules"]


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The rows of all clips by clip id."""
    folder = tmp_path_factory.mktemp("drawn")
    return {clip.clip_id: row(clip, video_bytes(clip, folder)) for clip in CLIPS}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, dict[str, Any]]) -> Path:
    """Three clips of more than 100 frames and a short one, in the split `test`."""
    return write_dataset(tmp_path_factory.mktemp("data") / "set", {"test": list(rows.values())})
