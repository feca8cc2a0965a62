"""The ledger alone, with a clock of its own: turns, retries, gates, breaker, tombstones."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace

import pytest

from curation.download.failures import POLICIES, Cause, DownloadFailure
from curation.download.ledger import FetchedSource, Ledger, LedgerError, State, process_owner
from curation.download.settings import BreakerSettings, PolitenessSettings
from curation.download.source_list import parse_address
from curation.download.status import status

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
    politeness = PolitenessSettings(requests_per_minute=60, burst=3, pause_s=0, jitter=0, sessions_per_host=2)
    with Ledger(
        tmp_path / "ledger.sqlite", politeness, BreakerSettings(wait_s=100, longest_s=350), clock=clock
    ) as made:
        yield made


def wanted(count: int, hosts: int = 100):
    return [parse_address(f"http://host{i % hosts}.test/{i}.mp4") for i in range(count)]


def take(ledger):
    return ledger.turn("me/0", 60).entry


def test_nobody_gets_a_source_that_another_has_and_hosts_have_limits(ledger):
    ledger.add(wanted(5, hosts=1))
    first, second = take(ledger), take(ledger)
    assert first.key != second.key
    turn = ledger.turn("me/0", 60)  # two sessions with one host are the limit
    assert turn.entry is None and turn.wait_s is not None
    ledger.finish(first.key, FETCHED)
    assert take(ledger).key not in (first.key, second.key)


def test_policies_by_cause(ledger, clock):
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
    assert ledger.turn("me/0", 60).wait_s is None
    assert ledger.revive([Cause.SERVER]) == 1 and take(ledger).key == two.key


def test_retry_after_is_longer_than_the_policy(ledger, clock):
    ledger.add(wanted(1))
    failed = ledger.fail(take(ledger).key, DownloadFailure(Cause.SERVER, "503", retry_after_s=5000))
    assert failed.next_retry_at == clock.now + 5000


def test_the_bucket_lets_a_burst_through_and_then_one_each_interval(ledger, clock):
    waits = [ledger.gate.reserve(f"h{i}", "k") for i in range(6)]
    assert waits == [0, 0, 0, 1, 2, 3]
    clock.now += 100
    assert [ledger.gate.reserve(f"h{i}", "k") for i in range(4)] == [0, 0, 0, 1]
    ledger.gate.charge(5)
    assert ledger.gate.reserve("other", "k") == 7


def test_pause_between_requests_to_one_host(tmp_path, clock):
    politeness = PolitenessSettings(requests_per_minute=6000, burst=100, pause_s=2, jitter=0.5)
    with Ledger(tmp_path / "l.sqlite", politeness, clock=clock) as ledger:
        assert ledger.gate.reserve("a", "k") == 0 and ledger.gate.reserve("b", "k") == 0
        second, third = ledger.gate.reserve("a", "k"), ledger.gate.reserve("a", "k")
        assert 2 <= second <= 3 and second + 2 <= third <= second + 3


def test_further_pieces_of_a_file_wait_for_their_host_and_leave_the_bucket_alone(tmp_path, clock):
    politeness = PolitenessSettings(requests_per_minute=6, burst=1, pause_s=2, jitter=0)
    with Ledger(tmp_path / "l.sqlite", politeness, clock=clock) as ledger:
        assert ledger.gate.reserve("a", "k") == 0
        assert [ledger.gate.reserve("a", "k", piece=True) for _ in range(3)] == [2, 4, 6]
        assert ledger.gate.reserve("b", "k") == 10
        ledger.gate.leave("k", DownloadFailure(Cause.BOT_CHECK, "robot"))
        assert ledger.gate.reserve("a", "k", piece=True) is None


def test_the_time_left_is_for_those_that_will_come(ledger, clock):
    """Of four that have ended two came, in 100 s; so five of the ten that wait will, in 250 s."""
    ledger.add(wanted(14))
    for number in range(4):
        key = take(ledger).key
        if number % 2:
            ledger.finish(key, replace(FETCHED, fetched_at=clock.now - 100 + number))
        else:
            ledger.fail(key, DownloadFailure(Cause.DELETED, "gone"))
    shown = status(ledger, clock.now + 1)
    assert shown["per_hour"] == pytest.approx(2 / 100 * 3600, rel=0.02)
    assert shown["hours_left"] == pytest.approx(250 / 3600, rel=0.1)


def _many(path, number, queue):
    politeness = PolitenessSettings(requests_per_minute=6000, burst=1, pause_s=0, jitter=0)
    with Ledger(path, politeness) as ledger:
        for _ in range(number):
            wait_s = ledger.gate.reserve("host", "k")
            queue.put(time.time() + wait_s)


def test_one_bucket_for_several_processes(tmp_path):
    path = tmp_path / "l.sqlite"
    Ledger(path).close()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_many, args=(path, 40, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    slots = sorted(queue.get(timeout=60) for _ in range(80))
    for worker in workers:
        worker.join()
    # 80 requests, one each 10 ms; a clock read before or after a transaction may be off by a little.
    assert slots[-1] - slots[0] >= 79 * 0.01 - 0.02


def test_a_bot_check_stops_everything_and_one_probe_goes_on(ledger, clock):
    ledger.add(wanted(5))
    first, other = take(ledger), take(ledger)
    ledger.fail(first.key, DownloadFailure(Cause.BOT_CHECK, "robot"))
    assert ledger.breaker().state == "open"
    assert ledger.gate.reserve("x", other.key) is None  # sessions under way get no further request
    ledger.release(other.key)
    assert ledger.entry(other.key).attempts == 0
    assert ledger.turn("me/0", 60).wait_s == 100
    clock.now += 100
    probe = take(ledger)
    assert probe.key != first.key  # the source that met the check waits longer
    assert take(ledger) is None and ledger.gate.reserve("x", probe.key) is not None
    ledger.fail(probe.key, DownloadFailure(Cause.BOT_CHECK, "robot"))
    assert ledger.turn("me/0", 60).wait_s == 200
    clock.now += 200
    again = take(ledger)
    ledger.finish(again.key, FETCHED)
    assert ledger.breaker().state == "closed" and take(ledger) is not None
    assert ledger.breaker().trips == 2


def test_repeated_429_trips_and_a_success_between_them_does_not(ledger, clock):
    ledger.add(wanted(3))
    ledger.gate.rate_limited(None)
    ledger.gate.rate_limited(None)
    ledger.finish(take(ledger).key, FETCHED)
    ledger.gate.rate_limited(None)
    ledger.gate.rate_limited(None)
    assert ledger.breaker().state == "closed"
    ledger.gate.rate_limited(500.0)
    breaker = ledger.breaker()
    assert breaker.cause is Cause.RATE_LIMIT and breaker.until == clock.now + 500


def test_a_session_limit_in_words_trips_at_once(ledger):
    ledger.add(wanted(1))
    failure = DownloadFailure(Cause.RATE_LIMIT, "rate-limited for an hour", session_limited=True)
    ledger.fail(take(ledger).key, failure)
    assert ledger.breaker().state == "open"


def test_a_network_that_is_down_trips(ledger):
    ledger.add(wanted(6))
    for _ in range(5):
        assert ledger.breaker().state == "closed"
        ledger.fail(take(ledger).key, DownloadFailure(Cause.NETWORK, "refused", unreachable=True))
    assert ledger.breaker().cause is Cause.NETWORK


def test_a_new_run_tries_a_network_that_was_down_at_once_but_no_host_that_refuses(ledger, clock):
    ledger.add(wanted(20))
    for cause, waits in ((Cause.NETWORK, False), (Cause.BOT_CHECK, True)):
        while ledger.breaker().state == "closed":
            ledger.fail(take(ledger).key, DownloadFailure(cause, "no", unreachable=cause is Cause.NETWORK))
        assert take(ledger) is None
        ledger.try_network()
        probe = take(ledger)
        assert (probe is None) is waits
        if probe:
            ledger.finish(probe.key, FETCHED)


def test_what_a_dead_worker_held_is_taken_back(ledger, clock):
    ledger.add(wanted(3))
    host = process_owner().split("/")[0]
    dead = ledger.turn(f"{host}/999999/1.00/0", 60).entry
    alive = ledger.turn(f"{process_owner()}/0", 60).entry
    far = ledger.turn("elsewhere/1/1.00/0", 60).entry
    assert ledger.reclaim() == 1
    assert ledger.entry(dead.key).state is State.WAITING and ledger.entry(dead.key).attempts == 0
    assert ledger.entry(alive.key).state is State.WORKING
    clock.now += 61
    assert ledger.reclaim() == 1 and ledger.entry(far.key).state is State.WAITING


def test_the_probe_of_a_dead_worker_does_not_keep_the_breaker(ledger, clock):
    ledger.add(wanted(2))
    ledger.fail(take(ledger).key, DownloadFailure(Cause.BOT_CHECK, "robot"))
    clock.now += 100
    assert ledger.turn("elsewhere/1/1.00/0", 60).entry is not None
    assert ledger.breaker().state == "probing"
    clock.now += 61
    ledger.reclaim()
    assert ledger.breaker().state == "open" and take(ledger) is not None


def test_tombstones_tell_nothing_and_hold(ledger):
    one = parse_address("dQw4w9WgXcQ")
    ledger.add([one])
    ledger.finish(take(ledger).key, FETCHED)
    ledger.bar(["youtube:dQw4w9WgXcQ", f"sha256:{FETCHED.sha256}"])
    ledger.delete(ledger.find(one.source_id))
    assert ledger.add([one]) == (0, 0, 1) and ledger.entries() == []
    assert ledger.is_forgotten("youtube:dQw4w9WgXcQ") and ledger.is_forgotten(f"sha256:{FETCHED.sha256}")
    data = b"".join(path.read_bytes() for path in ledger.path.parent.iterdir())
    for trace in (one.source_id, one.key, FETCHED.sha256, FETCHED.info_sha256):
        assert trace.encode() not in data


def test_a_file_that_is_no_ledger_is_one_line(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(path)
    with pytest.raises(LedgerError, match="there is none"):
        Ledger(tmp_path / "none.sqlite", read_only=True)
    assert not (tmp_path / "none.sqlite").exists()
