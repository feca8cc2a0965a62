"""One curated dataset for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_detectors import KNOWS_FACES, NOBODY, SPEAKER
from shot_videos import write_shots

from curation import curate
from curation.config import load_config
from curation.run import CurationSummary, RunOptions


@pytest.fixture(scope="session")
def summary(tmp_path_factory: pytest.TempPathFactory) -> CurationSummary:
    """Three clips of one person from two sources, and a duplicate from a third."""
    folder = tmp_path_factory.mktemp("made")
    write_shots(folder / "in" / "a.mp4", [(SPEAKER, 80), (NOBODY, 30), (SPEAKER, 120)], seed=1)
    write_shots(folder / "in" / "b.mp4", [(SPEAKER, 90)], seed=2)
    # Kept, but a duplicate: the beginning of another source.
    write_shots(folder / "in" / "excerpt.mp4", [(SPEAKER, 80)], seed=2)
    options = RunOptions(detectors=KNOWS_FACES)
    return curate([folder / "in"], folder / "data", load_config(), workers=1, options=options)


@pytest.fixture(scope="session")
def made(summary: CurationSummary) -> Path:
    return summary.out
