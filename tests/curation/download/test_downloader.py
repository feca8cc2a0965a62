"""Downloads through the real yt-dlp from a site with every kind of failure: results, politeness, kills."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from downloader_process import DownloaderProcess
from fake_tube import FakeTubeIE
from loopback import Asked, Loopback
from scenario import Expected, Lines, own, scenario, settings

from curation.download.access import Access
from curation.download.downloader import Downloader
from curation.download.ledger import LedgerEntry, State, download_folder, open_ledger
from curation.download.source_list import parse_address
from curation.download.status import download_status

# Share of the 300 sources of the scenario in the default tests.
SHARE = 0.1
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


def undisturbed_run(out: Path, footage_bytes: list[bytes], share: float) -> Finished:
    with Loopback() as site:
        expected = scenario(site, footage_bytes, share)
        os.environ["FAKE_TUBE"] = site.url("")
        notes = Lines()
        chosen = settings()
        with open_ledger(out, chosen) as ledger:
            Downloader(out, ledger, chosen, Access(), progress=notes, extractors=[FakeTubeIE]).run(
                one.wanted for one in expected
            )
            entries = {entry.key: entry for entry in ledger.entries()}
            document = download_status(ledger)
        assert document["waiting"] == document["working"] == 0
        return Finished(out, expected, entries, list(site.log), site.ports, notes)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, footage_bytes) -> Finished:
    """A part of the 300 sources; `make soak` has all of them."""
    return undisturbed_run(tmp_path_factory.mktemp("undisturbed") / "out", footage_bytes, share=SHARE)


def check_results(run: Finished) -> None:
    """Every source ends in the right state with the right cause, and every file is whole."""
    wrong = [
        (one.kind, entry.state, entry.cause, entry.message)
        for one in run.expected
        if ((entry := run.entries[one.wanted.key]).state, entry.cause) != (one.state, one.cause)
    ]
    assert not wrong
    folder = download_folder(run.out)
    done = [one for one in run.expected if one.data is not None]
    for one in done:
        entry = run.entries[one.wanted.key]
        data = (folder / entry.file).read_bytes()
        assert data == one.data and hashlib.sha256(data).hexdigest() == entry.sha256
        info = folder / "sources" / one.wanted.key / "info.json"
        assert hashlib.sha256(info.read_bytes()).hexdigest() == entry.info_sha256
    assert {path.name for path in (folder / "sources").iterdir()} == {one.wanted.key for one in done}


def test_each_source_ends_in_the_right_state_with_a_whole_file(undisturbed):
    assert len(undisturbed.expected) == len(undisturbed.entries) >= 50
    assert {one.cause for one in undisturbed.expected} >= {"deleted", "bot check", "rate limit", "no format"}
    check_results(undisturbed)
    for one in undisturbed.expected:
        if one.kind == "tube":
            entry = undisturbed.entries[one.wanted.key]
            assert entry.license.startswith("Creative Commons") and entry.uploader_id.startswith("@uploader")


def test_only_suitable_formats_of_accepted_videos_are_requested(undisturbed):
    names = ["av1", *(f"/{kind}-" for kind in ("brief", "lowres", "livever", "private", "geo"))]
    assert not [asked for asked in undisturbed.log if any(name in asked.path for name in names)]


def test_nothing_is_downloaded_twice(undisturbed):
    """A direct address is looked up once and downloaded once; a described one is downloaded once."""
    asked = defaultdict(list)
    for one in undisturbed.log:
        asked[one.path].append(one)
    for path, requests in asked.items():
        if "/ok-" in path:
            assert len(requests) == 2, path
        elif "/tube-" in path or "/h264-" in path:
            assert len(requests) == 1, path
        elif "/cut-" in path:
            # Looked up, cut off at half, looked up again; what is on the disk is not requested again.
            assert [one.range is not None for one in requests].count(True) == 1
            served = next(one for one in requests if one.range is not None)
            assert 0 < int(served.range.removeprefix("bytes=").removesuffix("-")) <= requests[1].sent


def test_the_log_shows_the_rate(undisturbed):
    # Redirects follow within one request; they are charged afterwards.
    charged = [one for one in undisturbed.log if one.status != 302 and "?moved" not in one.path]
    times = sorted(one.time for one in charged)
    for number in (20, 40, 80):
        for first, last in zip(times, times[number:], strict=False):
            assert last - first >= (number - BURST) / RATE_PER_S - SLACK_S
    by_host = defaultdict(list)
    for one in charged:
        by_host[one.host].append(one.time)
    for host, moments in by_host.items():
        assert (max(moments) - min(moments)) / len(moments) >= PAUSE_S, host


def after_quiet(log: list[Asked], begin: float, wait_s: float) -> list[Asked]:
    """Return the requests after the first pause of that length since a moment."""
    later = sorted((one for one in log if one.time >= begin), key=lambda one: one.time)
    quiet = (i for i, (one, other) in enumerate(pairwise(later), 1) if other.time - one.time >= wait_s - 0.05)
    return later[next(quiet, len(later)) :]


def test_the_log_shows_the_breaker(undisturbed):
    """Between two bot checks of a source there is a pause as long as the wait of the breaker."""
    moments = sorted(one.time for one in undisturbed.log if "watch?v=boteve0" in one.path)
    assert len(moments) == 5
    for begin, end in pairwise(moments):
        # Requests in progress come before the pause, on a loaded machine many.
        assert after_quiet([one for one in undisturbed.log if one.time <= end], begin, 0.3)
    assert sum("bot check" in note for note in undisturbed.notes) >= 5
    assert any("rate limit" in note for note in undisturbed.notes)


def test_after_a_bot_check_one_source_is_tried_before_the_rest(footage_bytes, tmp_path, monkeypatch):
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
    # An address is looked up and downloaded alone; only then the others are requested.
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


def killed_run(
    process: DownloaderProcess,
    site: Loopback,
    out: Path,
    run: Finished,
    kills: int,
    wait_s: tuple[float, float],
) -> None:
    """Kill downloaders at random times until one ends; compare ledger, files and requests."""
    chosen, random_ = settings(), random.Random(7)
    with open_ledger(out, chosen) as ledger:
        ledger.add(one.wanted for one in run.expected)
    done_at: list[tuple[float, set[str]]] = []
    code, killed = -1, 0
    while code != 0:
        (child,) = process.start(out, chosen.model_dump(mode="json"), site.url(""))
        if killed < kills:
            time.sleep(random_.uniform(*wait_s))
            os.kill(child, signal.SIGKILL)
            killed += 1
        (code,) = process.wait()
        assert code in (0, -signal.SIGKILL)
        with open_ledger(out, chosen) as ledger:
            done_at.append((time.time(), {entry.key for entry in ledger.entries(State.DONE)}))
    with open_ledger(out, chosen) as ledger:
        entries = {entry.key: entry for entry in ledger.entries()}
    assert {key: comparable(entry) for key, entry in entries.items()} == {
        key: comparable(entry) for key, entry in run.entries.items()
    }
    assert files(out) == files(run.out)
    # A finished download is never repeated.
    paths = {one.wanted.key: one.wanted.url.split("/", 3)[3] for one in run.expected}
    for (moment, before), (_, after) in pairwise([*done_at, (0.0, set())]):
        assert before <= after or not after
        asked_later = {one.path.lstrip("/") for one in site.log if one.time > moment + SLACK_S}
        assert not {paths[key] for key in before} & asked_later


def test_after_kills_ledger_and_files_are_those_of_an_undisturbed_run(
    undisturbed, footage_bytes, downloader_process, tmp_path
):
    with Loopback(ports=undisturbed.ports) as site:
        expected = scenario(site, footage_bytes, share=SHARE)
        assert [one.wanted for one in expected] == [one.wanted for one in undisturbed.expected]
        killed_run(downloader_process, site, tmp_path / "out", undisturbed, kills=3, wait_s=(0.3, 0.8))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_after_40_kills_all_300_sources_are_those_of_an_undisturbed_run(
    footage_bytes, downloader_process, tmp_path
):
    run = undisturbed_run(tmp_path / "undisturbed", footage_bytes, share=1)
    assert len(run.expected) == 300
    check_results(run)
    with Loopback(ports=run.ports) as site:
        scenario(site, footage_bytes, share=1)
        killed_run(downloader_process, site, tmp_path / "out", run, kills=40, wait_s=(0.05, 0.4))


def test_two_processes_share_one_ledger_and_one_rate(footage_bytes, downloader_process, tmp_path):
    rate_per_s, count = 30.0, 16
    politeness = {"requests_per_minute": 60 * rate_per_s, "burst": 4, "pause_s": 0, "sessions_per_host": 8}
    chosen = settings(politeness=politeness, workers=2)
    out = tmp_path / "out"
    with Loopback() as site:
        names = [f"{number}.mp4" for number in range(count)]
        site.files.update((name, own(footage_bytes[0], place)) for place, name in enumerate(names))
        with open_ledger(out, chosen) as ledger:
            ledger.add(parse_address(site.url(f"ok/{name}", place)) for place, name in enumerate(names))
        downloader_process.start(out, chosen.model_dump(mode="json"), site.url(""), copies=2)
        assert downloader_process.wait() == [0, 0]
        with open_ledger(out, chosen) as ledger:
            assert {entry.state for entry in ledger.entries()} == {State.DONE}
        times = sorted(one.time for one in site.log)
        assert len(times) == 2 * count  # each is looked up once and downloaded once
        for first, last in zip(times, times[20:], strict=False):
            assert last - first >= (20 - 4) / rate_per_s - SLACK_S


def comparable(entry: LedgerEntry) -> tuple:
    """Return everything but times, and but attempts where answers change with the number of requests."""
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
    """Return the hashes of all finished files."""
    folder = download_folder(out) / "sources"
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
