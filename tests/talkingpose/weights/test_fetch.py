from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from talkingpose.io.progress import Progress
from talkingpose.weights import UnreachableError, WeightsError, fetch, find, verify
from talkingpose.weights import download as download_module


class RecordedProgress(Progress):
    def __init__(self) -> None:
        self.messages: list[str] = []
        self.starts: list[tuple[str, int | None, str]] = []
        self.done = 0

    def message(self, text: str) -> None:
        self.messages.append(text)

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        self.starts.append((label, total, unit))
        self.done = 0

    def advance(self, steps: int = 1) -> None:
        self.done += steps


FETCH = """
import sys
from pathlib import Path
from talkingpose.weights import fetch
error = fetch(["net"], sys.argv[1], lock=Path(sys.argv[2]))[0].error
sys.exit(str(error) if error else 0)
"""


def target(folder: Path) -> Path:
    return folder / "nets" / "net.bin"


def leftovers(folder: Path) -> set[str]:
    """Files other than the weight file, its record and locks."""
    names = {path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
    return names - {"net.bin", "net.bin.sha256"}


def refusal(folder: Path, lock: Path) -> str:
    """Error of a fetch that must fail and leave no file of the name."""
    (result,) = fetch(["net"], folder, lock=lock)
    assert result.error is not None
    assert not target(folder).exists()
    assert "\n" not in str(result.error)
    return str(result.error)


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def test_fetched_checked_and_found(server: Any, make: Any, dest: Path, content: bytes) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content))))
    progress = RecordedProgress()
    (result,) = fetch(["net"], dest, lock=lock, progress=progress)
    assert (result.error, result.downloaded) == (None, True)
    assert find("net", folder=dest, lock=lock).read_bytes() == content
    assert verify(folder=dest, lock=lock)[0].state == "verified"
    assert progress.messages == ["net: 0.3 MB; licence: MIT"]
    assert progress.starts == [("net", 300_000, "B")] and progress.done == 300_000
    assert leftovers(dest) == set()
    assert not fetch(["net"], dest, lock=lock)[0].downloaded
    assert len(server.requests) == 1


def test_broken_connection_is_resumed(server: Any, make: Any, dest: Path, content: bytes) -> None:
    address = server.serve("/net", *(make.answer(content, cut=100_000) for _ in range(3)))
    lock = make.lock(make.entry(address))
    assert fetch(["net"], dest, lock=lock)[0].error is None
    assert target(dest).read_bytes() == content
    assert server.ranges() == [None, "bytes=100000-", "bytes=200000-"]


def test_changed_file_is_downloaded_from_the_start(
    server: Any, make: Any, dest: Path, content: bytes
) -> None:
    old, new = make.answer(content[::-1], cut=100_000), make.answer(content)
    lock = make.lock(make.entry(server.serve("/net", old, new)))
    assert fetch(["net"], dest, lock=lock)[0].error is None
    assert target(dest).read_bytes() == content


def test_a_server_without_range_starts_over(server: Any, make: Any, dest: Path, content: bytes) -> None:
    answers = [make.answer(content, cut=100_000, ranges=False), make.answer(content, ranges=False)]
    lock = make.lock(make.entry(server.serve("/net", *answers)))
    assert fetch(["net"], dest, lock=lock)[0].error is None
    assert target(dest).read_bytes() == content


def test_repeated_failure_ends_and_is_resumed_later(
    server: Any, make: Any, dest: Path, content: bytes
) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content, cut=0))))
    assert "broke off" in refusal(dest, lock)
    server.serve("/net", make.answer(content, cut=250_000), make.answer(content, cut=0))
    assert "broke off" in refusal(dest, lock)
    assert ".net.bin.part" in leftovers(dest)
    server.serve("/net", make.answer(content))
    assert fetch(["net"], dest, lock=lock)[0].error is None
    assert server.ranges()[-1] == "bytes=250000-"
    assert leftovers(dest) == set()


def test_another_length_is_refused_before_a_byte_is_kept(
    server: Any, make: Any, dest: Path, content: bytes
) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content + b"x"))))
    assert "offers 300,001 bytes, expected 300,000" in refusal(dest, lock)
    assert leftovers(dest) == set()


def test_more_bytes_than_claimed_are_refused(server: Any, make: Any, dest: Path, content: bytes) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content + b"x" * 99, length=0))))
    assert "more than 300,000 bytes" in refusal(dest, lock)


def test_one_flipped_byte_is_refused(server: Any, make: Any, dest: Path, content: bytes) -> None:
    flipped = content[:7] + bytes([content[7] ^ 1]) + content[8:]
    lock = make.lock(make.entry(server.serve("/net", make.answer(flipped))))
    message = refusal(dest, lock)
    assert "not the expected one (SHA-256 is " in message
    assert make.entry("")["sha256"] in message
    assert leftovers(dest) == set()


def test_404_and_500_use_the_mirror(server: Any, make: Any, dest: Path, content: bytes) -> None:
    mirror = server.serve("/mirror", make.answer(content))
    for status, tries in ((404, 1), (500, 3)):
        server.requests.clear()
        address = server.serve("/net", make.answer(status=status))
        lock = make.lock(make.entry(address, mirror=mirror))
        assert fetch(["net"], dest, lock=lock)[0].error is None
        assert [path for path, _ in server.requests] == ["/net"] * tries + ["/mirror"]
        shutil.rmtree(dest)
        assert f"HTTP {status}" in refusal(dest, make.lock(make.entry(address)))


def test_damaged_source_uses_the_mirror(server: Any, make: Any, dest: Path, content: bytes) -> None:
    mirror = server.serve("/mirror", make.answer(content))
    address = server.serve("/net", make.answer(content[::-1]))
    assert fetch(["net"], dest, lock=make.lock(make.entry(address, mirror=mirror)))[0].error is None
    assert target(dest).read_bytes() == content


def test_redirects_are_followed(server: Any, make: Any, dest: Path, content: bytes) -> None:
    there = server.serve("/there", make.answer(content, cut=100_000), make.answer(content))
    lock = make.lock(make.entry(server.serve("/net", make.answer(location=there))))
    assert fetch(["net"], dest, lock=lock)[0].error is None
    assert target(dest).read_bytes() == content
    # A dropped connection may cost one more request; the second file request resumes.
    assert server.ranges()[0] is None and server.ranges()[-2:] == ["bytes=100000-"] * 2


def test_offline_is_one_line_with_a_remedy(make: Any, dest: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/net"
        (result,) = fetch(["net"], dest, lock=make.lock(make.entry(address)))
    assert isinstance(result.error, UnreachableError)
    message = str(result.error)
    assert "\n" not in message
    assert "no connection to 127.0.0.1" in message
    assert "tp-eval weights fetch net --dest FOLDER" in message and str(target(dest)) in message


def test_a_damaged_file_is_fetched_again(server: Any, make: Any, dest: Path, content: bytes) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content))))
    target(dest).parent.mkdir(parents=True)
    target(dest).write_bytes(content[::-1])
    assert fetch(["net"], dest, lock=lock)[0].downloaded
    assert target(dest).read_bytes() == content


def test_licence_is_required_before_any_download(server: Any, make: Any, dest: Path, content: bytes) -> None:
    address = server.serve("/net", make.answer(content))
    lock = make.lock(make.entry(address, commercial="no", licence="research only"))
    with pytest.raises(WeightsError, match=r"net: research only: .*--accept-licence"):
        fetch(["net"], dest, lock=lock)
    assert server.requests == [] and not dest.exists()
    assert fetch(["net"], dest, lock=lock, accept_licence=True)[0].error is None
    assert fetch(["net"], dest, lock=lock)[0].error is None  # present: no licence needed


def test_full_disk_is_refused_before_any_download(
    server: Any, make: Any, dest: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content))))
    usage = shutil.disk_usage(dest.parent)._replace(free=200_000)
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(WeightsError, match=r"MB free, .* MB needed"):
        fetch(["net"], dest, lock=lock)
    assert server.requests == []


def test_a_folder_that_is_a_file_is_one_line(make: Any, dest: Path) -> None:
    dest.write_text("a file")
    with pytest.raises(WeightsError, match="cannot be created"):
        fetch(["net"], dest, lock=make.lock(make.entry("https://example.org/net")))


def test_one_failure_stops_no_other(server: Any, make: Any, dest: Path, content: bytes) -> None:
    bad = make.entry(server.serve("/bad", make.answer(status=404)), id="bad", file="bad.bin")
    good = make.entry(server.serve("/net", make.answer(content)))
    results = fetch(["bad", "net"], dest, lock=make.lock(bad, good))
    assert [result.error is None for result in results] == [False, True]


def test_unpublished_hash_is_reported_recorded_and_compared(
    server: Any, make: Any, dest: Path, content: bytes
) -> None:
    lock = make.lock(make.unpublished(server.serve("/net", make.answer(content)), size=None))
    progress = RecordedProgress()
    assert fetch(["net"], dest, lock=lock, progress=progress)[0].error is None
    assert "cannot be checked (nobody publishes it)" in progress.messages[-1]
    assert make.entry("")["sha256"] in progress.messages[-1]
    target(dest).unlink()  # the record stays
    server.serve("/net", make.answer(content[::-1]))
    assert "recorded at the first fetch" in refusal(dest, lock)


def test_file_of_unknown_size_needs_a_content_length(
    server: Any, make: Any, dest: Path, content: bytes
) -> None:
    """Otherwise a truncated download would be recorded as the file."""
    address = server.serve("/net", make.answer(content, length=0, cut=1000))
    assert "does not state the size" in refusal(dest, make.lock(make.unpublished(address, size=None)))


def test_two_processes_fetch_once(server: Any, make: Any, dest: Path, content: bytes) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content, pause=0.03))))
    command = [sys.executable, "-c", FETCH, str(dest), str(lock)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in both] == [(b"", 0)] * 2
    assert len(server.requests) == 1
    assert target(dest).read_bytes() == content


def test_a_killed_fetch_is_resumed(server: Any, make: Any, dest: Path, content: bytes) -> None:
    lock = make.lock(make.entry(server.serve("/net", make.answer(content, pause=0.1), make.answer(content))))
    process = subprocess.Popen([sys.executable, "-c", FETCH, str(dest), str(lock)])
    part = dest / "nets" / ".net.bin.part"
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size > 20_000):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    held = part.stat().st_size
    assert 0 < held < len(content) and not target(dest).exists()
    assert fetch(["net"], dest, lock=lock)[0].error is None
    assert server.ranges() == [None, f"bytes={held}-"]
    assert target(dest).read_bytes() == content


ANSWERS = st.fixed_dictionaries(
    {
        "status": st.sampled_from([200, 200, 200, 200, 404, 500, 503]),
        "ranges": st.booleans(),
        "cut": st.none() | st.integers(0, 5000),
        "length": st.none() | st.sampled_from([0, 1, 4999, 5001]),
        "flip": st.none() | st.integers(0, 4999),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=st.lists(ANSWERS, min_size=1, max_size=6), known=st.booleans())
def test_wrong_file_never_gets_the_name(
    server: Any,
    make: Any,
    plans: list[dict[str, Any]],
    known: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = bytes(range(250)) * 20
    dest = tmp_path_factory.mktemp("weights")
    answers = []
    for plan in plans:
        flip = plan.pop("flip")
        sent = data if flip is None else data[:flip] + bytes([data[flip] ^ 1]) + data[flip + 1 :]
        answers.append(make.answer(sent, **plan))
    address = server.serve("/net", *answers)
    lock = make.lock(make.entry(address, data, size=len(data) if known else None))
    for _ in range(2):
        (result,) = fetch(["net"], dest, lock=lock)
        assert (result.error is None) == target(dest).is_file()
        assert result.error is not None or target(dest).read_bytes() == data
    server.serve("/net", make.answer(data))
    assert fetch(["net"], dest, lock=lock)[0].error is None
    assert target(dest).read_bytes() == data
    assert leftovers(dest) == set()


def test_a_foreign_partial_file_only_costs_time(server: Any, make: Any, dest: Path, content: bytes) -> None:
    part = dest / "nets" / ".net.bin.part"
    part.parent.mkdir(parents=True)
    for held in (b"anything", bytes(len(content)), bytes(len(content) + 1)):
        lock = make.lock(make.entry(server.serve("/net", make.answer(content))))
        part.write_bytes(held)
        assert fetch(["net"], dest, lock=lock)[0].error is None
        assert target(dest).read_bytes() == content
        target(dest).unlink()
