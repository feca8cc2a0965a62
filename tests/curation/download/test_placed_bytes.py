"""Size of the downloads while files appear and disappear."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from curation.download.files import SOURCES, placed_bytes


def test_the_size_is_measured_while_folders_are_deleted(tmp_path: Path) -> None:
    sources = tmp_path / SOURCES
    (sources / "stays").mkdir(parents=True)
    (sources / "stays" / "video.mp4").write_bytes(b"123")
    done = threading.Event()

    def create_and_delete() -> None:
        while not done.is_set():
            for number in range(20):
                (sources / f"goes-{number}").mkdir()
                (sources / f"goes-{number}" / "video.mp4").write_bytes(b"")
            for number in range(20):
                shutil.rmtree(sources / f"goes-{number}")

    thread = threading.Thread(target=create_and_delete)
    thread.start()
    try:
        assert all(placed_bytes(tmp_path) == 3 for _ in range(300))
    finally:
        done.set()
        thread.join()
