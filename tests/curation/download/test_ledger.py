"""Ledger with a simulated clock: leases, retries, rate limits, breaker, shards, tombstones."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from dataclasses import replace

import pytest

from curation.download.failures import POLICIES, Cause, DownloadFailure
from curation.download.ledger import FetchedSource, Ledger, LedgerError, State, process_owner
from curation.download.settings import DownloadSettings
from curation.download.source_list import parse_address
from curation.download.status import download_status
from talkingpose.io.shard import Shard

FETCHED = FetchedSource("sources/x/video.mp4", 10, "ab" * 32, None, None, 1.0, "cd" * 32)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    chosen = limits(requests_per_minute=60, burst=3, sessions_per_host=2)
    with Ledger(tmp_path / "ledger.sqlite", chosen, clock=clock) as made:
        yield made


def limits(**politeness):
    """Settings without pauses, and a breaker that waits 100 s."""
    values = {"pause_s": 0, "jitter": 0, **politeness}
    breaker = {"wait_s": 100, "longest_s": 350}
    return DownloadSettings.model_validate({"politeness": values, "breaker": breaker})


def wanted(count: int, hosts: int = 100):
    return [parse_address(f"http://host{i % hosts}.test/{i}.mp4") for i in range(count)]


def take(ledger):
    return ledger.take("me/0", 60).entry


def test_a_source_has_one_worker_and_a_host_has_a_limit(ledger):
    ledger.add(wanted(5, hosts=1))
    first, second = take(ledger), take(ledger)
    assert first.key != second.key
    lease = ledger.take("me/0", 60)  # two sessions per host are the limit
    assert lease.entry is None and lease.wait_s is not None
    ledger.finish(first.key, FETCHED)
    assert take(ledger).key not in (first.key, second.key)


def test_retry_policies_by_cause(ledger, clock):
    ledger.add(wanted(2))
    one, two = take(ledger), take(ledger)
    assert ledger.fail(one.key, DownloadFailure(Cause.PRIVATE, "no")).state is State.DEAD
    policy = POLICIES[Cause.SERVER]
    for attempt in range(1, policy.attempts):
        failed = ledger.fail(two.key, DownloadFailure(Cause.SERVER, "500"))
        assert failed.state is State.WAITING
        assert failed.next_retry_at == clock.now + policy.wait(attempt)
        assert take(ledger) is None
        clock.now = failed.next_retry_at
        assert take(ledger).key == two.key
    assert ledger.fail(two.key, DownloadFailure(Cause.SERVER, "500")).state is State.DEAD
    assert ledger.take("me/0", 60).wait_s is None
    assert ledger.revive([Cause.SERVER]) == 1 and take(ledger).key == two.key


def test_retry_after_overrides_the_policy(ledger, clock):
    ledger.add(wanted(1))
    failed = ledger.fail(take(ledger).key, DownloadFailure(Cause.SERVER, "503", retry_after_s=5000))
    assert failed.next_retry_at == clock.now + 5000


def test_the_bucket_allows_a_burst_and_then_one_request_per_interval(ledger, clock):
    waits = [ledger.rate_limiter.reserve(f"h{i}", "k") for i in range(6)]
    assert waits == [0, 0, 0, 1, 2, 3]
    clock.now += 100
    assert [ledger.rate_limiter.reserve(f"h{i}", "k") for i in range(4)] == [0, 0, 0, 1]
    ledger.rate_limiter.charge(5)
    assert ledger.rate_limiter.reserve("other", "k") == 7


def test_pause_between_requests_to_one_host(tmp_path, clock):
    chosen = limits(requests_per_minute=6000, burst=100, pause_s=2, jitter=0.5)
    with Ledger(tmp_path / "l.sqlite", chosen, clock=clock) as ledger:
        assert ledger.rate_limiter.reserve("a", "k") == 0 and ledger.rate_limiter.reserve("b", "k") == 0
        second, third = ledger.rate_limiter.reserve("a", "k"), ledger.rate_limiter.reserve("a", "k")
        assert 2 <= second <= 3 and second + 2 <= third <= second + 3


def test_further_pieces_of_a_file_wait_only_for_their_host(tmp_path, clock):
    chosen = limits(requests_per_minute=6, burst=1, pause_s=2)
    with Ledger(tmp_path / "l.sqlite", chosen, clock=clock) as ledger:
        assert ledger.rate_limiter.reserve("a", "k") == 0
        assert [ledger.rate_limiter.reserve("a", "k", piece=True) for _ in range(3)] == [2, 4, 6]
        assert ledger.rate_limiter.reserve("b", "k") == 10
        ledger.rate_limiter.end("k", DownloadFailure(Cause.BOT_CHECK, "robot"))
        assert ledger.rate_limiter.reserve("a", "k", piece=True) is None


def test_the_remaining_time_is_that_of_the_sources_that_will_succeed(ledger, clock):
    """Two of four succeeded in 100 s, so five of the ten waiting will, in 250 s."""
    ledger.add(wanted(14))
    for number in range(4):
        key = take(ledger).key
        if number % 2:
            ledger.finish(key, replace(FETCHED, fetched_at=clock.now - 100 + number))
        else:
            ledger.fail(key, DownloadFailure(Cause.DELETED, "gone"))
    shown = download_status(ledger, clock.now + 1)
    assert shown["per_hour"] == pytest.approx(2 / 100 * 3600, rel=0.02)
    assert shown["hours_left"] == pytest.approx(250 / 3600, rel=0.1)


def _many(path, number, queue, shard=None):
    with Ledger(path, limits(requests_per_minute=6000, burst=1), shard=shard) as ledger:
        for _ in range(number):
            wait_s = ledger.rate_limiter.reserve("host", "k")
            queue.put(time.time() + wait_s)


@pytest.mark.parametrize("shards", [None, 2])
def test_processes_and_shards_of_a_folder_keep_one_rate(tmp_path, shards):
    path = tmp_path / "l.sqlite"
    Ledger(path).close()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    parts = [None, None] if shards is None else [Shard(1, shards), Shard(2, shards)]
    workers = [context.Process(target=_many, args=(path, 20, queue, part)) for part in parts]
    for worker in workers:
        worker.start()
    slots = sorted(queue.get(timeout=60) for _ in range(40))
    for worker in workers:
        worker.join()
    # 40 requests, one every 10 ms on average; each shard starts with a token.
    assert slots[-1] - slots[0] >= (40 - 1 - (shards or 0)) * 0.01 - 0.02


def test_shards_divide_the_rate_and_share_the_breaker_and_the_limit_of_a_host(tmp_path, clock):
    chosen = limits(requests_per_minute=60, burst=2, pause_s=1, sessions_per_host=2)
    path = tmp_path / "l.sqlite"
    with (
        Ledger(path, chosen, shard=Shard(1, 2), clock=clock) as one,
        Ledger(path, chosen, shard=Shard(2, 2), clock=clock) as two,
    ):
        for ledger in (one, two):
            waits = [ledger.rate_limiter.reserve(f"h{i}", "k") for i in range(3)]
            assert waits == [0, 2, 4]  # half the rate, half the burst
            assert [ledger.rate_limiter.reserve("h", "k", piece=True) for _ in range(2)] == [0, 2]
        one.add(wanted(4, hosts=1))
        held = [ledger.take("me/0", 60).entry for ledger in (one, two)]
        assert all(held) and one.take("me/0", 60).entry is None
        two.fail(held[1].key, DownloadFailure(Cause.BOT_CHECK, "robot"))
        assert one.breaker().state == "open"


def test_a_selection_restricts_the_sources_that_are_taken(ledger):
    ledger.add(wanted(4))
    keys = [entry.key for entry in ledger.entries()]
    ledger.select(keys[2:])
    assert {take(ledger).key, take(ledger).key} == set(keys[2:])
    assert ledger.take("me/0", 60).wait_s is not None  # the selected sources are in progress
    for key in keys[2:]:
        ledger.finish(key, FETCHED)
    assert ledger.take("me/0", 60).wait_s is None and not ledger.missing()


def test_a_ledger_of_a_former_version_is_extended(tmp_path):
    path = tmp_path / "l.sqlite"
    with Ledger(path) as ledger:
        ledger.add(wanted(3))
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE host_sessions")
        db.execute("CREATE TABLE machines (shard INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE sessions (key TEXT PRIMARY KEY, machine TEXT, host TEXT, lease_until REAL)")
    db.close()
    with Ledger(path) as ledger:
        assert len(ledger.entries()) == 3 and take(ledger) is not None
    with sqlite3.connect(path) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    db.close()
    assert not {"machines", "sessions"} & tables


def test_a_bot_check_stops_everything_until_a_probe_succeeds(ledger, clock):
    ledger.add(wanted(5))
    first, other = take(ledger), take(ledger)
    ledger.fail(first.key, DownloadFailure(Cause.BOT_CHECK, "robot"))
    assert ledger.breaker().state == "open"
    assert ledger.rate_limiter.reserve("x", other.key) is None  # sessions in progress get no further request
    ledger.release(other.key)
    assert ledger.entry(other.key).attempts == 0
    assert ledger.take("me/0", 60).wait_s == 100
    clock.now += 100
    probe = take(ledger)
    assert probe.key != first.key  # the source with the bot check waits longer
    assert take(ledger) is None and ledger.rate_limiter.reserve("x", probe.key) is not None
    ledger.fail(probe.key, DownloadFailure(Cause.BOT_CHECK, "robot"))
    assert ledger.take("me/0", 60).wait_s == 200
    clock.now += 200
    again = take(ledger)
    ledger.finish(again.key, FETCHED)
    assert ledger.breaker().state == "closed" and take(ledger) is not None
    assert ledger.breaker().trips == 2


def test_repeated_429_opens_the_breaker_unless_a_success_is_between_them(ledger, clock):
    ledger.add(wanted(3))
    ledger.rate_limiter.rate_limited(None)
    ledger.rate_limiter.rate_limited(None)
    ledger.finish(take(ledger).key, FETCHED)
    ledger.rate_limiter.rate_limited(None)
    ledger.rate_limiter.rate_limited(None)
    assert ledger.breaker().state == "closed"
    ledger.rate_limiter.rate_limited(500.0)
    breaker = ledger.breaker()
    assert breaker.cause is Cause.RATE_LIMIT and breaker.until == clock.now + 500


def test_a_stated_session_limit_opens_the_breaker_at_once(ledger):
    ledger.add(wanted(1))
    failure = DownloadFailure(Cause.RATE_LIMIT, "rate-limited for an hour", session_limited=True)
    ledger.fail(take(ledger).key, failure)
    assert ledger.breaker().state == "open"


def test_a_network_that_is_down_opens_the_breaker(ledger):
    ledger.add(wanted(6))
    for _ in range(5):
        assert ledger.breaker().state == "closed"
        ledger.fail(take(ledger).key, DownloadFailure(Cause.NETWORK, "refused", unreachable=True))
    assert ledger.breaker().cause is Cause.NETWORK


def test_a_new_run_retries_the_network_at_once_but_no_host_that_refuses(ledger, clock):
    ledger.add(wanted(20))
    for cause, waits in ((Cause.NETWORK, False), (Cause.BOT_CHECK, True)):
        while ledger.breaker().state == "closed":
            ledger.fail(take(ledger).key, DownloadFailure(cause, "no", unreachable=cause is Cause.NETWORK))
        assert take(ledger) is None
        ledger.retry_network()
        probe = take(ledger)
        assert (probe is None) is waits
        if probe:
            ledger.finish(probe.key, FETCHED)


def test_sources_of_dead_workers_are_reclaimed(ledger, clock):
    ledger.add(wanted(3))
    host = process_owner().split("/")[0]
    dead = ledger.take(f"{host}/999999/1.00/0", 60).entry
    alive = ledger.take(f"{process_owner()}/0", 60).entry
    far = ledger.take("elsewhere/1/1.00/0", 60).entry
    assert ledger.reclaim() == 1
    assert ledger.entry(dead.key).state is State.WAITING and ledger.entry(dead.key).attempts == 0
    assert ledger.entry(alive.key).state is State.WORKING
    clock.now += 61
    assert ledger.reclaim() == 1 and ledger.entry(far.key).state is State.WAITING


def test_the_probe_of_a_dead_worker_does_not_block_the_breaker(ledger, clock):
    ledger.add(wanted(2))
    ledger.fail(take(ledger).key, DownloadFailure(Cause.BOT_CHECK, "robot"))
    clock.now += 100
    assert ledger.take("elsewhere/1/1.00/0", 60).entry is not None
    assert ledger.breaker().state == "probing"
    clock.now += 61
    ledger.reclaim()
    assert ledger.breaker().state == "open" and take(ledger) is not None


def test_tombstones_bar_a_source_and_reveal_nothing(ledger):
    one = parse_address("dQw4w9WgXcQ")
    ledger.add([one])
    ledger.finish(take(ledger).key, FETCHED)
    ledger.add_tombstones(["youtube:dQw4w9WgXcQ", f"sha256:{FETCHED.sha256}"])
    ledger.delete(ledger.find(one.source_id))
    ledger.add([one])
    assert ledger.entries() == []
    assert ledger.is_forgotten("youtube:dQw4w9WgXcQ") and ledger.is_forgotten(f"sha256:{FETCHED.sha256}")
    data = b"".join(path.read_bytes() for path in ledger.path.parent.iterdir())
    for trace in (one.source_id, one.key, FETCHED.sha256, FETCHED.info_sha256):
        assert trace.encode() not in data


def test_a_file_that_is_not_a_ledger_is_one_line(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(path)
    with pytest.raises(LedgerError, match="no such file"):
        Ledger(tmp_path / "none.sqlite", read_only=True)
    assert not (tmp_path / "none.sqlite").exists()
