"""One run on several machines: processes with folders of their own, and the gate that one of them serves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from loopback import Asked, Loopback
from scenario import own, settings

from curation.cli.download import fetch as fetch_command
from curation.download.downloader import open_ledger
from curation.download.failures import Cause, DownloadFailure
from curation.download.ledger import Ledger, LedgerError, State
from curation.download.machines import MachineError, Shard, parse_shard
from curation.download.rate_limiter import End, RateLimiterLost
from curation.download.rate_limiter_server import RateLimiterServer
from curation.download.remote_rate_limiter import RemoteRateLimiter
from curation.download.settings import BreakerSettings, PolitenessSettings
from curation.download.source_list import parse_address
from curation.download.together import read_together
from curation.download.wire import SECRET_VARIABLE
from curation.orchestrator import audit, choose, fetch

SECRET = "sixteen characters, or more"
SLACK_S = 0.15
BOT = "Sign in to confirm you\N{RIGHT SINGLE QUOTATION MARK}re not a bot."


class Machine:
    """A folder, and a process whose children work in it."""

    def __init__(self, out: Path, order: dict[str, Any], site: Loopback) -> None:
        self.out, self.pid = out, 0
        self._order = json.dumps({"out": str(out), **order}) + "\n"
        program = Path(__file__).with_name("downloader_process.py")
        self._parent = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "FAKE_TUBE": site.url("")},
        )

    def begin(self) -> None:
        self._parent.stdin.write(self._order)
        self._parent.stdin.flush()
        self.pid = int(self._parent.stdout.readline())

    def ended(self) -> int:
        return int(self._parent.stdout.readline())

    def close(self) -> None:
        self._parent.stdin.close()
        self._parent.wait()
        self._parent.stdout.close()

    def done(self) -> set[str]:
        with open_ledger(self.out) as ledger:
            assert {entry.state for entry in ledger.entries()} == {State.DONE}
            return {entry.source_id for entry in ledger.entries()}


class Run:
    """Three machines, the first of which serves."""

    def __init__(self, site: Loopback, folder: Path, names: list[str], **changes: Any) -> None:
        self.port = free_port()
        chosen = settings(workers=2, **changes).model_dump(mode="json")
        self.machines = [
            Machine(
                folder / f"out{number}",
                {
                    "settings": chosen,
                    "together": {
                        "shard": f"{number}/3",
                        "port": self.port,
                        "serves": number == 1,
                        "secret": SECRET,
                        "wanted": names,
                    },
                },
                site,
            )
            for number in (1, 2, 3)
        ]
        self.server = self.machines[0]

    def __enter__(self) -> Run:
        self.serve()
        for machine in self.machines[1:]:
            machine.begin()
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.machines:
            machine.close()

    def serve(self) -> None:
        self.server.begin()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the gate was not served")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tubes(site: Loopback, footage: list[bytes], number: int) -> list[str]:
    """Videos of the fake site, each of its own bytes, by turns on three hosts."""
    names = [f"tube{index:07d}" for index in range(number)]
    for index, name in enumerate(names):
        site.files[f"{name}.mp4"] = own(footage[index % len(footage)], index)
        url = site.url(f"ok/{name}.mp4", host=index)
        form = {"format_id": "h264", "url": url, "ext": "mp4", "vcodec": "avc1", "height": 48}
        site.infos[name] = {"formats": [form], "duration": 1.6}
    return names


def shard_of(name: str) -> int:
    return next(n for n in (1, 2, 3) if Shard(n, 3).holds(parse_address(name).key))


def at_work(log: list[Asked], names: list[str]) -> set[int]:
    """The machines that requests came from."""
    return {shard_of(name) for one in list(log) for name in names if name in one.path}


def test_three_machines_have_one_rate_no_common_source_and_outlive_their_server(footage_bytes, tmp_path):
    rate_per_s, burst = 24.0, 4
    politeness = {
        "requests_per_minute": 60 * rate_per_s,
        "burst": burst,
        "pause_s": 0,
        "sessions_per_host": 6,
    }
    with Loopback() as site:
        names = tubes(site, footage_bytes, 60)
        with Run(site, tmp_path, names, politeness=politeness) as run:
            while len(site.log) < 40:
                time.sleep(0.02)
            os.kill(run.server.pid, signal.SIGKILL)
            killed = time.time()
            assert run.server.ended() == -signal.SIGKILL
            time.sleep(0.8)
            back = time.time()
            run.serve()
            assert [machine.ended() for machine in run.machines] == [0, 0, 0]
            parts = [machine.done() for machine in run.machines]
        log = list(site.log)
    assert sorted(name for part in parts for name in part) == names  # no source is in two folders
    assert all(shard_of(name) == number for number, part in enumerate(parts, 1) for name in part)
    # Nobody asks a host while nobody serves the gate, and what is under way is not asked for again.
    assert not [one for one in log if killed + SLACK_S < one.time < back]
    fetched = Counter(one.path for one in log if "/ok/" in one.path)
    others = [name for part in parts[1:] for name in part]
    assert {fetched[f"/ok/{name}.mp4"] for name in others} == {1}
    assert min(one.time for one in log if one.path in fetched) < killed
    # One bucket, before and after.
    times = sorted(one.time for one in log)
    for number in (12, 30, 80):
        for first, last in zip(times, times[number:], strict=False):
            assert last - first >= (number - burst) / rate_per_s - SLACK_S


def test_a_bot_check_that_one_machine_sees_stops_all(footage_bytes, tmp_path):
    wait_s = 1.2
    with Loopback() as site:
        names = tubes(site, footage_bytes, 60)
        caught: list[str] = []

        def once(name: str, described: Any) -> Any:
            """The second machine meets the check as soon as all three have been seen."""

            def info(_: int) -> Any:
                if not caught and shard_of(name) == 2 and at_work(site.log, names) == {1, 2, 3}:
                    caught.append(name)
                    return {"error": BOT}
                return described

            return info

        site.infos.update({name: once(name, site.infos[name]) for name in names})
        changes = {
            "politeness": {"requests_per_minute": 1800, "burst": 4, "pause_s": 0, "sessions_per_host": 6},
            "breaker": {"wait_s": wait_s, "factor": 1.5, "longest_s": 3.0},
        }
        with Run(site, tmp_path, names, **changes) as run:
            assert [machine.ended() for machine in run.machines] == [0, 0, 0]
            assert sorted(name for machine in run.machines for name in machine.done()) == names
        log = list(site.log)
    moment = min(one.time for one in log if f"watch?v={caught[0]}" in one.path)
    after = [one for one in log if one.time > moment + SLACK_S]
    assert min(one.time for one in after) - moment >= wait_s - 0.05
    assert at_work(after, names) == {1, 2, 3}


# The gate alone, with a clock of its own


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def served(tmp_path, clock):
    """A ledger that is part 1 of 3, and the port where its gate is."""
    politeness = PolitenessSettings(requests_per_minute=60, burst=2, pause_s=0, jitter=0, sessions_per_host=2)
    port = free_port()
    with Ledger(tmp_path / "l.sqlite", politeness, BreakerSettings(wait_s=100), clock=clock) as ledger:
        ledger.be_shard(parse_shard("1/3"))
        with RateLimiterServer(ledger, ("127.0.0.1", port), SECRET.encode()):
            yield ledger, port


def gate(port: int, machine: str = "a", shard: str | None = None) -> RemoteRateLimiter:
    made = RemoteRateLimiter(("127.0.0.1", port), SECRET.encode(), machine)
    if shard is not None:
        made.join(parse_shard(shard), 60)
    return made


def test_machines_share_bucket_hosts_and_breaker_with_the_server(served, clock):
    ledger, port = served
    a, b = gate(port, "a", "2/3"), gate(port, "b", "3/3")
    assert a.enter("k1", "host", 60) and not b.enter("k1", "host", 60)
    assert b.reserve("host", "k1") is None  # never two sessions for one video
    assert b.enter("k2", "host", 60) and not ledger.gate.enter("k3", "host", 60)
    assert ledger.gate.look().full_hosts == a.look().full_hosts == {"host"}
    assert [a.reserve("x", "k1"), b.reserve("y", "k2"), ledger.gate.reserve("z", "k3")] == [0, 0, 1]
    a.charge(2)
    assert b.reserve("y", "k2") == 4
    a.leave("k1", DownloadFailure(Cause.BOT_CHECK, "robot", retry_after_s=200))
    assert b.reserve("host", "k2") is None and ledger.breaker().state == b.look().breaker.state == "open"
    b.leave("k2", End.GIVEN_BACK)
    clock.now += 201
    assert b.enter("k2", "host", 60) and not a.enter("k1", "host", 60)
    assert a.look().breaker.state == "probing"
    clock.now += 61  # the probe's machine has died
    assert a.look().breaker.state == "open" and a.enter("k1", "host", 60)
    a.leave("k1", End.FETCHED)
    assert b.look().breaker.state == "closed"
    for _ in range(3):
        b.rate_limited(None)
    assert ledger.breaker().cause is Cause.RATE_LIMIT


def test_a_part_has_one_machine(served, clock):
    ledger, port = served
    a = gate(port, "a", "2/3")
    gate(port, "a", "2/3")
    for shard, message in (("2/3", "another folder"), ("1/3", "another folder"), ("2/4", "has 1/3")):
        with pytest.raises(MachineError, match=message):
            gate(port, "b", shard)
    with pytest.raises(MachineError, match="serves itself"):
        gate(port, ledger.machine, "2/3")
    with pytest.raises(MachineError, match="taken over"):
        gate(port, "stranger").look()
    clock.now += 50
    a.renew([], 60)
    clock.now += 50
    with pytest.raises(MachineError, match="another folder"):
        gate(port, "b", "2/3")
    assert ledger.machines().missing() == [2, 3]
    clock.now += 61
    gate(port, "b", "2/3").end()
    with pytest.raises(MachineError, match="taken over"):
        a.look()
    assert ledger.machines().missing() == [3]
    clock.now += 61
    with pytest.raises(MachineError, match="another folder"):
        gate(port, "c", "2/3")  # it has ended: everything of it is fetched


def test_a_lost_gate_and_one_of_another_run(served):
    _, port = served
    with pytest.raises(MachineError, match="refuses the secret"):
        RemoteRateLimiter(("127.0.0.1", port), b"another secret of 26 chars", "a").greet()
    with Loopback() as site, pytest.raises(RateLimiterLost, match="answers with 501"):
        gate(site.ports[0]).look()
    with pytest.raises(MachineError, match=r"does not answer .*refused.*: start the machine that serves it"):
        gate(free_port()).greet()
    with pytest.raises(MachineError, match="--serve-gate"), Ledger(served[0].path) as ledger:
        RateLimiterServer(ledger, ("127.0.0.1", port), SECRET.encode())


def test_a_part_of_a_run_is_not_fetched_without_its_gate(tmp_path):
    out = tmp_path / "out"
    one = choose(["dQw4w9WgXcQ"]).wanted
    with open_ledger(out) as ledger:
        ledger.add(one)
        with pytest.raises(LedgerError, match="sources outside"):
            ledger.be_shard(Shard(shard_of("dQw4w9WgXcQ") % 3 + 1, 3))
        ledger.be_shard(Shard(shard_of("dQw4w9WgXcQ"), 3))
        with pytest.raises(LedgerError, match="this folder is"):
            ledger.be_shard(Shard(1, 4))
    for command in (fetch, audit):
        with pytest.raises(MachineError, match="is part"):
            command(one, out, settings(), None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gate": "a:1"}, "no part of the list"),
        ({"gate": "a:1", "shard": "4/3"}, "--shard 4/3: no part of a whole"),
        ({"gate": "a:1", "shard": "0/3"}, "--shard 0/3"),
        ({"gate": "a", "shard": "1/2"}, "--gate a: no address"),
        ({"serve_gate": "a:99999", "shard": "1/2"}, "--serve-gate a:99999: no address"),
        ({"gate": "http://a:1", "shard": "1/2"}, "no address"),
        ({"gate": "a:1", "serve_gate": "a:1"}, "give one of the two"),
        ({"shard": "1/2"}, "nothing without a gate"),
        ({"gate": "a:1", "shard": "1/2"}, f"no secret: .* {SECRET_VARIABLE}"),
        ({"gate": "a:1", "shard": "1/2", "secret": "none"}, "No such file"),
        ({"gate": "a:1", "shard": "1/2", "secret": "short"}, "too short"),
    ],
)
def test_wrong_options_are_one_line(options, message, tmp_path, monkeypatch):
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    (tmp_path / "short").write_text("secret")
    secret = tmp_path / options["secret"] if "secret" in options else None
    values = {"serve_gate": None, "gate": None, "shard": None, **options, "secret": secret}
    with pytest.raises(MachineError, match=message) as raised:
        read_together(**values)
    assert "\n" not in str(raised.value)


def test_nothing_is_written_where_no_gate_answers(tmp_path, monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    out, place = tmp_path / "out", f"127.0.0.1:{free_port()}"
    with pytest.raises(MachineError, match="does not answer"):
        fetch_command(["dQw4w9WgXcQ"], out, gate=place, shard="2/3")
    assert not out.exists()
