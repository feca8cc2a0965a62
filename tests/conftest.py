"""Settings of all tests: one thread per worker, no deadline of hypothesis, location of footage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Set before torch is imported; two workers with two threads each would compete for two cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["HF_HUB_OFFLINE"] = "1"

# The time of an example depends on the load of the machine.
settings.register_profile("talkingpose", deadline=None)
settings.load_profile("talkingpose")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def footage() -> Path:
    """Folder of real footage beside the checkout; skips the test without it."""
    folder = ROOT.parent / "shared" / "footage"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/footage beside the checkout")
    return folder
