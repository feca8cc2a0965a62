"""One run on several machines: one of them serves its gate, each fetches its part of the list."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from curation.download.ledger import Ledger, State
from curation.download.machines import MachineError, Shard, parse_shard
from curation.download.rate_limiter import RateLimiterLost
from curation.download.rate_limiter_server import RateLimiterServer
from curation.download.remote_rate_limiter import RemoteRateLimiter
from curation.download.source_list import RemoteSource
from curation.download.wire import parse_place, read_secret

_POLL_S = 0.5


@dataclass(frozen=True)
class Together:
    """This machine's place in a run: it serves the gate at `place`, or asks the one that is served there."""

    shard: Shard
    place: tuple[str, int]
    serves: bool
    secret: bytes = field(repr=False)

    def greet(self) -> None:
        """See that the gate answers, before anything is written; raises MachineError."""
        if not self.serves:
            RemoteRateLimiter(self.place, self.secret, "").greet()


def read_together(
    serve_gate: str | None, gate: str | None, shard: str | None, secret: Path | None
) -> Together | None:
    """Check what a command line says; None where it is about one machine; raises MachineError."""
    if serve_gate is None and gate is None:
        if shard is not None or secret is not None:
            raise MachineError("--shard, --gate-secret: nothing without a gate: give --serve-gate or --gate")
        return None
    if serve_gate is not None and gate is not None:
        raise MachineError("--serve-gate, --gate: one machine serves, the others ask: give one of the two")
    option, place = ("--gate", gate) if gate is not None else ("--serve-gate", serve_gate or "")
    if shard is None:
        raise MachineError(f"{option}: no part of the list: give --shard I/N, another one to each machine")
    return Together(parse_shard(shard), parse_place(option, place), gate is None, read_secret(secret))


def refuse_alone(ledger: Ledger, command: str) -> None:
    """Raises MachineError where a folder is a part of a run, whose gate this command would go around."""
    if (shard := ledger.shard()) is not None:
        raise MachineError(
            f"{command}: this folder is part {shard} of a run on several machines: "
            "fetch with --shard and --gate or --serve-gate, and do the rest in another folder"
        )


def part_of(wanted: Sequence[RemoteSource], ledger: Ledger) -> list[RemoteSource]:
    """Those of the sources that belong to the ledger's folder."""
    shard = ledger.shard()
    return [one for one in wanted if shard is None or shard.holds(one.key)]


@contextmanager
def taking_part(
    ledger: Ledger, together: Together, lease_s: float, on_note: Callable[[str], None]
) -> Iterator[None]:
    """Within it the ledger has the gate of the run; leaving it without an error waits for what is due.

    The serving machine serves until all others have ended, the others say that they have.

    Raises:
        MachineError, LedgerError: this machine cannot take part so.
    """
    ledger.check_shard(together.shard)
    if together.serves:
        server = RateLimiterServer(ledger, together.place, together.secret)
        ledger.be_shard(together.shard)
        with server:
            yield
            _await_others(ledger, on_note)
        return
    remote = RemoteRateLimiter(together.place, together.secret, ledger.machine)
    remote.join(together.shard, lease_s)
    ledger.be_shard(together.shard)
    ledger.gate = remote
    try:
        yield
    finally:
        ledger.gate = ledger.gate_for(ledger.machine)
    # Another process may still be at work in this folder; it says so when it ends.
    if not ledger.entries(State.WORKING):
        _say_end(remote, on_note)


def _await_others(ledger: Ledger, on_note: Callable[[str], None]) -> None:
    machines = ledger.machines()
    said: list[int] = []
    while missing := machines.missing():
        if missing != said:
            parts = ", ".join(map(str, missing))
            on_note(f"done here; serves the gate until the others have ended, too (parts {parts}); or Ctrl-C")
            said = missing
        time.sleep(_POLL_S)
    machines.begin_anew()


def _say_end(remote: RemoteRateLimiter, on_note: Callable[[str], None]) -> None:
    said = False
    while True:
        try:
            remote.end()
            return
        except RateLimiterLost as lost:
            if not said:
                on_note(f"done here; {lost}: it is told when it is back; or Ctrl-C")
            said = True
            time.sleep(_POLL_S)
