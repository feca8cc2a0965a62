"""Fixtures of the curation tests; worker processes import the stand-ins by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def in_this_process(monkeypatch):
    """Run jobs without worker processes, whose start takes most of the time; the pool has its own tests."""
    from in_process import InProcess

    monkeypatch.setattr("curation.executors.local_executor.LocalExecutor.run", InProcess.run)


@pytest.fixture
def fake_models(monkeypatch):
    """Use the stand-ins of `fake_detectors` for all models."""
    from fake_detectors import FAKE

    monkeypatch.setattr("curation.run.detectors_of", lambda pose: FAKE)
    monkeypatch.setattr("curation.orchestrator.detectors_of", lambda pose: FAKE)
