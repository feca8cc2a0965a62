"""300 sources through the real yt-dlp: the right end for each, politely, and the same after kill -9."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from fake_tube import FakeTubeIE
from loopback import Asked, Loopback
from scenario import Expected, own, scenario, settings

from curation.download.downloader import Downloader, folder_of, open_ledger
from curation.download.ledger import LedgerEntry, State
from curation.download.source_list import parse_address
from curation.download.status import status
from curation.download.ytdlp_client import Access

KILLS = 40
RATE_PER_S, BURST, PAUSE_S = 160.0, 8, 0.004
# A loaded machine may hand over a request late, and the next one in time.
SLACK_S = 0.12


@dataclass
class Finished:
    out: Path
    expected: list[Expected]
    entries: dict[str, LedgerEntry]
    log: list[Asked]
    ports: tuple[int, ...]
    notes: list[str]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, footage_bytes) -> Finished:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    with Loopback() as site:
        expected = scenario(site, footage_bytes)
        os.environ["FAKE_TUBE"] = site.url("")
        notes: list[str] = []
        chosen = settings()
        with open_ledger(out, chosen) as ledger:
            acquirer = Downloader(
                out, ledger, chosen, Access(), on_note=notes.append, extractors=[FakeTubeIE]
            )
            left = acquirer.run(one.wanted for one in expected)
            entries = {entry.key: entry for entry in ledger.entries()}
            document = status(ledger)
        assert left.waiting == 0 and document["waiting"] == document["working"] == 0
        return Finished(out, expected, entries, list(site.log), site.ports, notes)


def test_300_sources_each_end_in_the_right_state_with_the_right_cause(undisturbed):
    assert len(undisturbed.expected) == len(undisturbed.entries) == 300
    wrong = [
        (one.kind, entry.state, entry.cause, entry.message)
        for one in undisturbed.expected
        if ((entry := undisturbed.entries[one.wanted.key]).state, entry.cause) != (one.state, one.cause)
    ]
    assert not wrong


def test_every_file_is_whole_and_nothing_else_lies_there(undisturbed):
    folder = folder_of(undisturbed.out)
    done = [one for one in undisturbed.expected if one.data is not None]
    for one in done:
        entry = undisturbed.entries[one.wanted.key]
        data = (folder / entry.file).read_bytes()
        assert data == one.data and hashlib.sha256(data).hexdigest() == entry.sha256
        info = folder / "sources" / one.wanted.key / "info.json"
        assert hashlib.sha256(info.read_bytes()).hexdigest() == entry.info_sha256
    assert {path.name for path in (folder / "sources").iterdir()} == {one.wanted.key for one in done}


def test_evidence_is_kept_of_what_the_site_says(undisturbed):
    tube = [one for one in undisturbed.expected if one.kind == "tube"]
    for one in tube:
        entry = undisturbed.entries[one.wanted.key]
        assert entry.license.startswith("Creative Commons") and entry.uploader_id.startswith("@uploader")
        assert entry.fetched_at is not None


def test_formats_that_decode_well_come_first(undisturbed):
    assert not [asked for asked in undisturbed.log if "av1" in asked.path]


def test_no_video_is_asked_for_what_the_description_rules_out(undisturbed):
    names = [f"/{kind}-" for kind in ("brief", "lowres", "livever", "private", "geo")]
    assert not [asked for asked in undisturbed.log if any(name in asked.path for name in names)]


def test_nothing_is_fetched_twice(undisturbed):
    """A direct address is looked at once and downloaded once; a described one is downloaded once."""
    asked = defaultdict(list)
    for one in undisturbed.log:
        asked[one.path].append(one)
    for path, requests in asked.items():
        if "/ok-" in path:
            assert len(requests) == 2, path
        elif "/tube-" in path or "/h264-" in path:
            assert len(requests) == 1, path
        elif "/cut-" in path:
            # Looked at, cut off at half, looked at again, and what lies on the disk is not asked for again.
            assert [one.range is not None for one in requests].count(True) == 1
            served = next(one for one in requests if one.range is not None)
            assert 0 < int(served.range.removeprefix("bytes=").removesuffix("-")) <= requests[1].sent


def test_the_log_proves_the_rate(undisturbed):
    # Hops of redirects follow inside one request; they are paid for afterwards.
    paid = [one for one in undisturbed.log if one.status != 302 and "?moved" not in one.path]
    times = sorted(one.time for one in paid)
    for number in (80, 200, 500):
        for first, last in zip(times, times[number:], strict=False):
            assert last - first >= (number - BURST) / RATE_PER_S - SLACK_S
    by_host = defaultdict(list)
    for one in paid:
        by_host[one.host].append(one.time)
    for host, moments in by_host.items():
        mean = (max(moments) - min(moments)) / len(moments)
        assert mean >= PAUSE_S, host


def after_quiet(log: list[Asked], begin: float, wait_s: float) -> list[Asked]:
    """The requests behind the first quiet of that length since a moment."""
    later = sorted((one for one in log if one.time >= begin), key=lambda one: one.time)
    quiet = (i for i, (one, other) in enumerate(pairwise(later), 1) if other.time - one.time >= wait_s - 0.05)
    return later[next(quiet, len(later)) :]


def test_the_log_proves_the_breaker(undisturbed):
    """Between two bot checks of a source there is a quiet as long as the breaker waits."""
    moments = sorted(one.time for one in undisturbed.log if "watch?v=boteve0" in one.path)
    assert len(moments) == 5
    for begin, end in pairwise(moments):
        # Requests that were under way come before it, on a loaded machine many.
        assert after_quiet([one for one in undisturbed.log if one.time <= end], begin, 0.4)
    assert sum("bot check" in note for note in undisturbed.notes) >= 5
    assert any("rate limit" in note for note in undisturbed.notes)


def test_the_log_proves_that_one_source_is_tried_before_the_rest(footage_bytes, tmp_path, monkeypatch):
    chosen = settings(breaker={"wait_s": 1.0, "longest_s": 2.0}, timeout_s=60, min_bytes_per_s=0)
    with Loopback() as site:
        monkeypatch.setenv("FAKE_TUBE", site.url(""))
        names = [f"{number}.mp4" for number in range(40)]
        site.files.update((name, own(footage_bytes[0], place)) for place, name in enumerate(names))
        form = {"format_id": "h264", "url": site.url("ok/0.mp4"), "ext": "mp4", "vcodec": "avc1"}
        video, bot = "tube0000000", {"error": "Sign in to confirm you're not a bot"}
        site.infos[video] = lambda number: {"formats": [form], "duration": 4} if number else bot
        wanted = [parse_address(site.url(f"ok/{name}", place)) for place, name in enumerate(names[1:])]
        wanted.insert(10, parse_address(video))
        with open_ledger(tmp_path, chosen) as ledger:
            Downloader(tmp_path, ledger, chosen, Access(), extractors=[FakeTubeIE]).run(wanted)
            assert {entry.state for entry in ledger.entries()} == {State.DONE}
        log = list(site.log)
    moment = min(one.time for one in log if video in one.path)
    after = after_quiet(log, moment, 1.0)
    # An address is looked at, then downloaded: both alone, and only then the others are asked for.
    assert after[0].path == after[1].path != after[2].path
    assert len({one.path for one in after}) > 15


def test_retry_after_is_obeyed(undisturbed):
    asked = defaultdict(list)
    for one in undisturbed.log:
        if "/after/1/" in one.path:
            asked[one.path].append(one.time)
    assert asked
    for moments in asked.values():
        assert sorted(moments)[1] - sorted(moments)[0] >= 1.0


@pytest.mark.timeout(400)
def test_after_40_kills_ledger_and_files_are_those_of_an_undisturbed_run(
    undisturbed, footage_bytes, tmp_path
):
    out = tmp_path / "out"
    chosen = settings()
    random_ = random.Random(7)
    with Loopback(ports=undisturbed.ports) as site:
        expected = scenario(site, footage_bytes)
        assert [one.wanted for one in expected] == [one.wanted for one in undisturbed.expected]
        with open_ledger(out, chosen) as ledger:
            ledger.add(one.wanted for one in expected)
        environment = {**os.environ, "FAKE_TUBE": site.url("")}
        program = Path(__file__).with_name("downloader_process.py")
        order = json.dumps({"out": str(out), "settings": chosen.model_dump(mode="json")}) + "\n"
        parent = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        done_at: list[tuple[float, set[str]]] = []
        try:
            kills = 0
            while True:
                parent.stdin.write(order)
                parent.stdin.flush()
                child = int(parent.stdout.readline())
                if kills < KILLS:
                    time.sleep(random_.uniform(0.05, 0.4))
                    os.kill(child, signal.SIGKILL)
                    kills += 1
                code = int(parent.stdout.readline())
                with open_ledger(out, chosen) as ledger:
                    finished = {entry.key for entry in ledger.entries(State.DONE)}
                done_at.append((time.time(), finished))
                if code == 0:
                    break
                assert code == -signal.SIGKILL
        finally:
            parent.stdin.close()
            parent.kill()
            parent.wait()
        log = list(site.log)
    assert kills == KILLS
    with open_ledger(out, chosen) as ledger:
        entries = {entry.key: entry for entry in ledger.entries()}
    assert {key: what_counts(entry) for key, entry in entries.items()} == {
        key: what_counts(entry) for key, entry in undisturbed.entries.items()
    }
    assert files(out) == files(undisturbed.out)
    # No finished download is repeated: what the ledger called done is never asked for again.
    paths = {one.wanted.key: one.wanted.url.split("/", 3)[3] for one in expected}
    for (moment, before), (_, after) in pairwise([*done_at, (0.0, set())]):
        assert before <= after or not after
        asked_later = {one.path.lstrip("/") for one in log if one.time > moment + SLACK_S}
        again = {paths[key] for key in before} & asked_later
        assert not again


def test_two_processes_share_one_ledger_and_one_bucket(footage_bytes, tmp_path):
    rate_per_s = 30.0
    politeness = {"requests_per_minute": 60 * rate_per_s, "burst": 4, "pause_s": 0, "sessions_per_host": 8}
    chosen = settings(politeness=politeness, workers=2)
    out = tmp_path / "out"
    with Loopback() as site:
        names = [f"{number}.mp4" for number in range(30)]
        site.files.update((name, own(footage_bytes[0], place)) for place, name in enumerate(names))
        with open_ledger(out, chosen) as ledger:
            ledger.add(parse_address(site.url(f"ok/{name}", place)) for place, name in enumerate(names))
        program = Path(__file__).with_name("downloader_process.py")
        order = json.dumps({"out": str(out), "settings": chosen.model_dump(mode="json")}) + "\n"
        both = [
            subprocess.Popen(
                [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        for process in both:
            process.stdin.write(order)
            process.stdin.close()
        for process in both:
            assert process.stdout.read().split()[1] == "0"
            process.wait()
            process.stdout.close()
        with open_ledger(out, chosen) as ledger:
            assert {entry.state for entry in ledger.entries()} == {State.DONE}
        times = sorted(one.time for one in site.log)
        assert len(times) == 60  # each looked at once and downloaded once
        for first, last in zip(times, times[40:], strict=False):
            assert last - first >= (40 - 4) / rate_per_s - SLACK_S


def what_counts(entry: LedgerEntry) -> tuple:
    """Everything but times and, where a host's answers change with the number of requests, attempts."""
    attempts = entry.attempts if entry.state is State.DEAD else None
    return (
        entry.url,
        entry.state,
        entry.cause,
        attempts,
        entry.sha256,
        entry.num_bytes,
        entry.file,
        entry.kept,
        entry.license,
        entry.uploader_id,
        entry.info_sha256,
    )


def files(out: Path) -> dict[str, str]:
    """Hashes of all finished files; no unfinished one may have a final name."""
    folder = folder_of(out) / "sources"
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
