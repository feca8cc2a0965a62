"""Disk budget, and a disk that is really full."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import time

import pytest
from fake_tube import FakeTubeIE
from loopback import Loopback
from scenario import large, settings

from curation.download.access import Access
from curation.download.downloader import Downloader
from curation.download.downloads import delete_downloads
from curation.download.ledger import State, download_folder, open_ledger
from curation.download.source_list import parse_address
from talkingpose.io.progress import Progress

SIZE = 120_000


def tubes(site: Loopback, video: bytes, number: int, *, known: bool) -> list[str]:
    """Add videos of about equal size, which the site states or not; returns their ids."""
    names = [f"tube{index:07d}" for index in range(number)]
    for index, name in enumerate(names):
        data = site.files[f"{name}.mp4"] = large(video, SIZE + index)
        form = {"format_id": "h264", "url": site.url(f"ok/{name}.mp4"), "ext": "mp4", "vcodec": "avc1"}
        form |= {"filesize": len(data)} if known else {}
        site.infos[name] = {"formats": [form], "duration": 4}
    return names


def test_downloads_never_exceed_the_budget(footage_bytes, tmp_path, monkeypatch):
    """Four workers, room for two files and a half; finished files are deleted two by two."""
    budget = 2.5 * (SIZE + len(footage_bytes[0]))
    disk = {"budget_gb": budget / 1e9, "min_free_gb": 0, "poll_s": 0.05}
    chosen = settings(disk=disk, timeout_s=60, min_bytes_per_s=0)
    most = 0
    with Loopback() as site, open_ledger(tmp_path, chosen) as ledger:
        monkeypatch.setenv("FAKE_TUBE", site.url(""))
        wanted = [parse_address(name) for name in tubes(site, footage_bytes[0], 8, known=True)]
        downloader = Downloader(tmp_path, ledger, chosen, Access(), extractors=[FakeTubeIE])
        thread = threading.Thread(target=downloader.run, args=(wanted,))
        thread.start()
        while thread.is_alive():
            # By source: a file that is moved during the search may be found twice.
            sizes: dict[str, int] = {}
            for path in download_folder(tmp_path).glob("*/**/*video*"):
                source = path.parent.name if path.name.startswith("video") else path.name.partition("-")[0]
                with contextlib.suppress(FileNotFoundError):
                    sizes[source] = path.stat().st_size
            most = max(most, sum(sizes.values()))
            kept = [entry for entry in ledger.entries(State.DONE) if entry.kept]
            if len(kept) == 2:
                delete_downloads(tmp_path, ledger, kept)
            time.sleep(0.005)
        thread.join()
        assert {entry.state for entry in ledger.entries()} == {State.DONE}
        assert len(site.requests("/ok/")) == 8
    assert SIZE < most <= budget


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_pauses_the_downloads_until_there_is_room(footage_bytes, small_disk, monkeypatch):
    """Neither sizes nor a reserve are known: files, descriptions and the ledger fill the disk."""
    chosen = settings(disk={"min_free_gb": 0, "poll_s": 0.1}, timeout_s=60, min_bytes_per_s=0)
    with Loopback() as site, open_ledger(small_disk, chosen) as ledger:
        monkeypatch.setenv("FAKE_TUBE", site.url(""))
        wanted = [parse_address(name) for name in tubes(site, footage_bytes[0], 8, known=False)]
        ledger.add(wanted)
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 3 * SIZE))
        paused = threading.Event()

        class Watch(Progress):
            def message(self, text: str) -> None:
                if text.startswith("disk"):
                    paused.set()

        downloader = Downloader(
            small_disk, ledger, chosen, Access(), progress=Watch(), extractors=[FakeTubeIE]
        )
        thread = threading.Thread(target=downloader.run, args=(wanted,))
        thread.start()
        assert paused.wait(60)
        time.sleep(0.2)
        assert thread.is_alive() and len(ledger.entries(State.DONE)) < 8
        ballast.unlink()
        thread.join(60)
        assert not thread.is_alive()
        # No source has lost an attempt, and no file is truncated.
        assert {(entry.state, entry.attempts) for entry in ledger.entries()} == {(State.DONE, 1)}
        for entry in ledger.entries():
            data = (download_folder(small_disk) / entry.file).read_bytes()
            assert data == site.files[f"{entry.source_id}.mp4"]
