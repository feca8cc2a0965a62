"""Client: pieces of a file, resumed files, sources that are forgotten during their download."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from fake_tube import FakeTubeIE
from loopback import Loopback
from scenario import Lines, large, settings
from yt_dlp.utils import YoutubeDLError

from curation.config import load_config
from curation.download.access import Access
from curation.download.downloader import Downloader
from curation.download.ledger import State, download_folder, open_ledger
from curation.download.rate_limiter import BreakerState, RateLimiterState
from curation.download.source_list import parse_address
from curation.download.ytdlp_client import YtDlpClient
from curation.release.forget import forget


class RecordingLimiter:
    """Allows every request."""

    def __init__(self) -> None:
        self.reserved: list[tuple[str, bool]] = []

    def state(self) -> RateLimiterState:
        return RateLimiterState(BreakerState("closed", None, 0, 0), frozenset())

    def reserve(self, host: str, key: str, piece: bool = False) -> float:
        self.reserved.append((host, piece))
        return 0.0

    def charge(self, requests: int) -> None:
        pass

    def rate_limited(self, retry_after_s: float | None) -> None:
        pass


def test_only_the_first_piece_of_a_file_counts_for_the_rate(footage_bytes, tmp_path, monkeypatch):
    """Large files are requested in pieces."""
    data = large(footage_bytes[0], 50_000)
    limiter = RecordingLimiter()
    with Loopback({"a.mp4": data}) as site, open_ledger(tmp_path) as ledger:
        monkeypatch.setenv("FAKE_TUBE", site.url(""))
        pieces = {"http_chunk_size": 10_000}
        form = {"format_id": "h264", "url": site.url("ok/a.mp4", host=1), "ext": "mp4", "vcodec": "avc1"}
        site.infos["tube0000000"] = {"formats": [form | {"downloader_options": pieces}], "duration": 4}
        ledger.add([parse_address("tube0000000")])
        entry = ledger.take("me/0", 60).entry
        client = YtDlpClient(
            download_folder(tmp_path), limiter, settings(), Access(), extractors=[FakeTubeIE]
        )
        fetched = client.fetch(entry)
        client.close()
        asked = [one.host for one in site.log]
    assert (download_folder(tmp_path) / fetched.file).read_bytes() == data
    assert [host for host, _ in limiter.reserved] == asked
    assert [piece for _, piece in limiter.reserved] == [False, False, *[True] * (len(asked) - 2)]
    assert len(asked) >= 1 + len(data) / 10_000


def test_a_file_is_resumed_after_a_kill(footage_bytes, downloader_process, tmp_path):
    data = large(footage_bytes[0], 800_000)
    out = tmp_path / "out"
    chosen = settings(workers=1, timeout_s=60, min_bytes_per_s=0)
    with Loopback({"a.mp4": data}) as site:
        with open_ledger(out, chosen) as ledger:
            ledger.add([parse_address(site.url("steady/a.mp4"))])
        order = (out, chosen.model_dump(mode="json"), site.url(""))
        (child,) = downloader_process.start(*order)
        partial = download_folder(out) / "partial"
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in partial.glob("*.part")) < len(data) / 3:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        assert downloader_process.wait() == [-signal.SIGKILL]
        kept = sum(path.stat().st_size for path in partial.glob("*.part"))
        with open_ledger(out) as ledger:
            assert not ledger.entries(State.DONE)
        assert not list(download_folder(out).glob("sources/*/*"))
        downloader_process.start(*order)
        assert downloader_process.wait() == [0]
        ranges = [one.range for one in site.log if one.range]
    with open_ledger(out) as ledger:
        (entry,) = ledger.entries(State.DONE)
    assert (download_folder(out) / entry.file).read_bytes() == data
    assert f"bytes={kept}-" in ranges and kept >= len(data) / 3


@pytest.mark.parametrize("behaviour", ["ok", "nothing"])
def test_a_file_that_was_complete_when_its_run_was_killed(footage_bytes, tmp_path, behaviour):
    """The server has nothing after it, and says so by 416 or by an empty answer: the file starts over."""
    data = large(footage_bytes[0], 100_000)
    chosen = settings(workers=1, timeout_s=60, min_bytes_per_s=0, wait_scale=0.001)
    with Loopback({"a.mp4": data}) as site, open_ledger(tmp_path, chosen) as ledger:
        wanted = parse_address(site.url(f"{behaviour}/a.mp4"))
        part = download_folder(tmp_path) / "partial" / f"{wanted.key}-video.mp4.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(data)
        Downloader(tmp_path, ledger, chosen, Access()).run([wanted])
        entry = ledger.entry(wanted.key)
        assert f"bytes={len(data)}-" in [one.range for one in site.log]
    assert (entry.state, entry.attempts) == (State.DONE, 1)
    assert (download_folder(tmp_path) / entry.file).read_bytes() == data


def test_a_server_that_never_has_anything_left_is_asked_twice(tmp_path, monkeypatch):
    calls = []
    with Loopback({}) as site, open_ledger(tmp_path) as ledger:
        monkeypatch.setenv("FAKE_TUBE", site.url(""))
        form = {"format_id": "h264", "url": site.url("ok/a.mp4"), "ext": "mp4"}
        site.infos["tube0000000"] = {"formats": [form], "duration": 4}
        wanted = parse_address("tube0000000")
        ledger.add([wanted])
        entry = ledger.take("me/0", 60).entry
        folder = download_folder(tmp_path)
        client = YtDlpClient(folder, RecordingLimiter(), settings(), Access(), extractors=[FakeTubeIE])

        plain = client._ydl.process_ie_result

        def process(info, download=True, *rest):
            if not download:
                return plain(info, download, *rest)
            calls.append(1)
            assert len(calls) < 5
            (folder / "partial" / f"{wanted.key}-video.f1.mp4.part").write_bytes(b"video")
            raise YoutubeDLError("Did not get any data blocks")

        monkeypatch.setattr(client._ydl, "process_ie_result", process)
        for attempt in (1, 3):  # the second attempt finds an unfinished file and starts over once
            with pytest.raises(YoutubeDLError):
                client.fetch(entry)
            assert len(calls) == attempt
        client.close()


@pytest.mark.parametrize("behaviour", ["steady", "broken"])
def test_a_source_that_is_forgotten_during_its_download_leaves_nothing(
    footage_bytes, tmp_path, behaviour, monkeypatch
):
    """`broken` fails after it was forgotten, `steady` succeeds."""
    out = tmp_path / "out"
    with Loopback({"a.mp4": large(footage_bytes[0], 100_000)}) as site:
        address = site.url(f"{behaviour}/a.mp4")
        wanted = parse_address(address)
        chosen = settings(workers=1, timeout_s=60, min_bytes_per_s=0)
        reached, go_on = threading.Event(), threading.Event()

        real = YtDlpClient.fetch

        def fetch(client, entry):
            try:
                return real(client, entry)
            finally:
                reached.set()
                go_on.wait(60)

        monkeypatch.setattr(YtDlpClient, "fetch", fetch)

        with open_ledger(out, chosen) as ledger:
            lines = Lines()
            downloader = Downloader(out, ledger, chosen, Access(), progress=lines)
            thread = threading.Thread(target=downloader.run, args=([wanted],))
            thread.start()
            assert reached.wait(60)
            forget(out, address, load_config().export)
            # A file that is written during the removal.
            late = download_folder(out) / "sources" / wanted.key
            late.mkdir(parents=True)
            (late / "video.mp4").write_bytes(b"late")
            go_on.set()
            thread.join(60)
            assert not thread.is_alive() and not lines and not ledger.entries()
            assert not late.exists()
            Downloader(out, ledger, chosen, Access()).run([wanted])
            assert not ledger.entries()
    assert not [path for path in out.rglob("*") if wanted.key in path.name]


def test_files_without_a_source_are_deleted(footage_bytes, tmp_path):
    """A process may be killed after its source was forgotten and before it deleted the files."""
    chosen = settings(timeout_s=60, min_bytes_per_s=0)
    with Loopback({"a.mp4": footage_bytes[0]}) as site, open_ledger(tmp_path, chosen) as ledger:
        Downloader(tmp_path, ledger, chosen, Access()).run([parse_address(site.url("ok/a.mp4"))])
        (entry,) = ledger.entries(State.DONE)
        folder = download_folder(tmp_path)
        stray = folder / "sources" / "0123456789abcdef0123"
        stray.mkdir()
        (stray / "video.mp4").write_bytes(b"stray")
        for name in (f"{stray.name}-video.mp4.part", f"{stray.name}.stamp", f"{entry.key}.stamp"):
            (folder / "partial" / name).write_bytes(b"[]")
        Downloader(tmp_path, ledger, chosen, Access()).run()
    assert (folder / entry.file).read_bytes() == footage_bytes[0]
    assert [path.name for path in folder.glob("sources/*")] == [entry.key]
    assert [path.name for path in folder.glob("partial/*")] == [f"{entry.key}.stamp"]
