"""For all tests: one thread per worker, and where the data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before torch is loaded: two workers with two threads each on two cores mostly wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["HF_HUB_OFFLINE"] = "1"

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def footage() -> Path:
    """Real footage beside the checkout; not part of the project, so a test that wants it may have to skip."""
    folder = ROOT.parent / "shared" / "footage"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/footage beside the checkout")
    return folder
