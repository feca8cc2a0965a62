"""Programs and stand-ins of the download tests are imported by name, also by other processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope="session")
def footage_bytes(tmp_path_factory) -> list[bytes]:
    from scenario import make_footage

    return make_footage(tmp_path_factory.mktemp("footage"))


@pytest.fixture(scope="session")
def downloader_process():
    from downloader_process import DownloaderProcess

    process = DownloaderProcess()
    yield process
    process.close()
