"""One session: pieces of a file, files that are continued, sources that are forgotten while they come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_tube import FakeTubeIE
from loopback import Loopback
from scenario import large, settings

from curation.config import load_config
from curation.download.downloader import Downloader, folder_of, open_ledger
from curation.download.ledger import State
from curation.download.rate_limiter import BreakerState, RateLimiterState
from curation.download.source_list import parse_address
from curation.download.ytdlp_client import Access, YtDlpClient
from curation.release.forget import forget


class RecordingGate:
    """Lets everything pass."""

    def __init__(self) -> None:
        self.reserved: list[tuple[str, bool]] = []

    def look(self) -> RateLimiterState:
        return RateLimiterState(BreakerState("closed", None, 0, 0), frozenset())

    def reserve(self, host: str, key: str, piece: bool = False) -> float:
        self.reserved.append((host, piece))
        return 0.0

    def charge(self, requests: int) -> None:
        pass

    def rate_limited(self, retry_after_s: float | None) -> None:
        pass


def test_only_the_first_piece_of_a_file_is_paid_for(footage_bytes, tmp_path, monkeypatch):
    """Large files come in pieces, by the dozen: the rate is of what is asked for."""
    data = large(footage_bytes[0], 50_000)
    gate = RecordingGate()
    with Loopback({"a.mp4": data}) as site, open_ledger(tmp_path) as ledger:
        monkeypatch.setenv("FAKE_TUBE", site.url(""))
        pieces = {"http_chunk_size": 10_000}
        form = {"format_id": "h264", "url": site.url("ok/a.mp4", host=1), "ext": "mp4", "vcodec": "avc1"}
        site.infos["tube0000000"] = {"formats": [form | {"downloader_options": pieces}], "duration": 4}
        ledger.add([parse_address("tube0000000")])
        entry = ledger.turn("me/0", 60).entry
        session = YtDlpClient(folder_of(tmp_path), gate, settings(), Access(), extractors=[FakeTubeIE])
        fetched = session.fetch(entry)
        session.close()
        asked = [one.host for one in site.log]
    assert (folder_of(tmp_path) / fetched.file).read_bytes() == data
    assert [host for host, _ in gate.reserved] == asked
    assert [piece for _, piece in gate.reserved] == [False, False, *[True] * (len(asked) - 2)]
    assert len(asked) >= 1 + len(data) / 10_000


def test_what_a_killed_process_had_of_a_file_is_not_asked_for_again(footage_bytes, tmp_path):
    data = large(footage_bytes[0], 800_000)
    out = tmp_path / "out"
    chosen = settings(workers=1, timeout_s=60, min_bytes_per_s=0)
    order = json.dumps({"out": str(out), "settings": chosen.model_dump(mode="json")}) + "\n"
    with Loopback({"a.mp4": data}) as site:
        with open_ledger(out, chosen) as ledger:
            ledger.add([parse_address(site.url("steady/a.mp4"))])
        program = Path(__file__).with_name("downloader_process.py")
        parent = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        parent.stdin.write(order)
        parent.stdin.flush()
        child = int(parent.stdout.readline())
        partial = folder_of(out) / "partial"
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in partial.glob("*.part")) < len(data) / 3:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        assert int(parent.stdout.readline()) == -signal.SIGKILL
        left = sum(path.stat().st_size for path in partial.glob("*.part"))
        with open_ledger(out) as ledger:
            assert not ledger.entries(State.DONE)
        assert not list(folder_of(out).glob("sources/*/*"))
        parent.stdin.write(order)
        parent.stdin.close()
        assert [int(line) for line in parent.stdout][-1] == 0
        parent.wait()
        parent.stdout.close()
        ranges = [one.range for one in site.log if one.range]
    with open_ledger(out) as ledger:
        (entry,) = ledger.entries(State.DONE)
    assert (folder_of(out) / entry.file).read_bytes() == data
    assert f"bytes={left}-" in ranges and left >= len(data) / 3


@pytest.mark.parametrize("behaviour", ["steady", "broken"])
def test_a_source_that_is_forgotten_while_it_comes_leaves_nothing(footage_bytes, tmp_path, behaviour):
    """`broken` fails after it was forgotten, `steady` succeeds."""
    out = tmp_path / "out"
    with Loopback({"a.mp4": large(footage_bytes[0], 100_000)}) as site:
        address = site.url(f"{behaviour}/a.mp4")
        wanted = parse_address(address)
        chosen = settings(workers=1, timeout_s=60, min_bytes_per_s=0)
        reached, go_on = threading.Event(), threading.Event()

        def fetch(session, entry):
            try:
                return session.fetch(entry)
            finally:
                reached.set()
                go_on.wait(60)

        with open_ledger(out, chosen) as ledger:
            ended = []
            acquirer = Downloader(out, ledger, chosen, Access(), task=fetch, on_end=ended.append)
            thread = threading.Thread(target=acquirer.run, args=([wanted],))
            thread.start()
            assert reached.wait(60)
            forget(out, address, load_config().export)
            # As if the file had been put there in the very moment of forgetting.
            late = folder_of(out) / "sources" / wanted.key
            late.mkdir(parents=True)
            (late / "video.mp4").write_bytes(b"late")
            go_on.set()
            thread.join(60)
            assert not thread.is_alive() and not ended and not ledger.entries()
            assert not late.exists()
            Downloader(out, ledger, chosen, Access()).run([wanted])
            assert not ledger.entries()
    assert not [path for path in out.rglob("*") if wanted.key in path.name]


def test_what_belongs_to_no_source_is_cleared_away(footage_bytes, tmp_path):
    """A process may be killed after its source was forgotten and before it could clear up itself."""
    chosen = settings(timeout_s=60, min_bytes_per_s=0)
    with Loopback({"a.mp4": footage_bytes[0]}) as site, open_ledger(tmp_path, chosen) as ledger:
        Downloader(tmp_path, ledger, chosen, Access()).run([parse_address(site.url("ok/a.mp4"))])
        (entry,) = ledger.entries(State.DONE)
        folder = folder_of(tmp_path)
        stray = folder / "sources" / "0123456789abcdef0123"
        stray.mkdir()
        (stray / "video.mp4").write_bytes(b"stray")
        for name in (f"{stray.name}-video.mp4.part", f"{stray.name}.stamp", f"{entry.key}.stamp"):
            (folder / "partial" / name).write_bytes(b"[]")
        Downloader(tmp_path, ledger, chosen, Access()).run()
    assert (folder / entry.file).read_bytes() == footage_bytes[0]
    assert [path.name for path in folder.glob("sources/*")] == [entry.key]
    assert [path.name for path in folder.glob("partial/*")] == [f"{entry.key}.stamp"]
