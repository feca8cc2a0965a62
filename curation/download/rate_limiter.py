"""Rate limits and circuit breaker of an output folder, kept in its ledger.

One limiter serves all threads and processes that share the ledger. Each shard of a sharded run has buckets of
its own at 1/n of the rate; sessions per host and the breaker are common to all processes of a ledger.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from curation.download.database import Database
from curation.download.failures import Cause, DownloadFailure
from curation.download.settings import BreakerSettings, PolitenessSettings
from talkingpose.io.shard import Shard

SCHEMA = """
CREATE TABLE IF NOT EXISTS gates (name TEXT PRIMARY KEY, free_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS breaker (
    id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL, cause TEXT, until REAL NOT NULL,
    wait_s REAL NOT NULL, probe TEXT, rate_limits INTEGER NOT NULL, unreachable INTEGER NOT NULL,
    trips INTEGER NOT NULL
);
INSERT OR IGNORE INTO breaker VALUES (1, 'closed', NULL, 0, 0, NULL, 0, 0, 0);
CREATE TABLE IF NOT EXISTS host_sessions (
    key TEXT PRIMARY KEY, host TEXT NOT NULL, lease_until REAL NOT NULL
) WITHOUT ROWID;
"""


class SessionEnd(StrEnum):
    """End of a session that did not fail."""

    FETCHED = "fetched"
    REJECTED = "rejected"
    RELEASED = "released"


@dataclass(frozen=True)
class BreakerState:
    """State of the breaker: `closed`, `open` or `probing`; `until` in seconds since 1970."""

    state: str
    cause: Cause | None
    until: float
    trips: int


@dataclass(frozen=True)
class RateLimiterState:
    """State of the limiter; `full_hosts` have reached their number of sessions."""

    breaker: BreakerState
    full_hosts: frozenset[str]


class RateLimiter:
    """Rate limiter over the database of a ledger.

    Args:
        politeness: limits of the whole folder, or of the shard.
        clock: returns seconds since 1970.
        shard: shard whose buckets are used; None for an unsharded run.
    """

    def __init__(
        self,
        database: Database,
        politeness: PolitenessSettings,
        breaker: BreakerSettings,
        clock: Callable[[], float],
        shard: Shard | None = None,
    ) -> None:
        self._db = database
        self._politeness = politeness
        self._breaker = breaker
        self._clock = clock
        self._suffix = "" if shard is None else f"#{shard}"
        # A token bucket, stored as the time when it will be full again.
        self._bucket = f"*{self._suffix}"
        self._random = secrets.SystemRandom()

    def state(self) -> RateLimiterState:
        """Return the state of breaker and hosts."""
        now = self._clock()
        row = self._db.read("SELECT * FROM breaker")[0]
        cause = Cause(row["cause"]) if row["cause"] else None
        state = row["state"]
        if state == "probing" and not self._has_session(row["probe"], now):
            state = "open"
        hosts = self._db.read(
            "SELECT host FROM host_sessions WHERE lease_until >= ? GROUP BY host HAVING COUNT(*) >= ?",
            (now, self._politeness.sessions_per_host),
        )
        full = frozenset(str(one["host"]) for one in hosts)
        return RateLimiterState(BreakerState(state, cause, row["until"], row["trips"]), full)

    def begin(self, key: str, host: str, lease_s: float) -> bool:
        """Begin the session of a source; False if the breaker or the limit of the host forbids it.

        An open breaker whose wait is over admits one source, the probe. A session that is not renewed within
        `lease_s` is considered dead.
        """
        with self._db.writing() as db:
            now = self._clock()
            state = self.state()
            breaker = state.breaker
            if breaker.state == "probing" or (breaker.state == "open" and now < breaker.until):
                return False
            if not self._has_session(key, now) and host in state.full_hosts:
                return False
            db.execute("DELETE FROM host_sessions WHERE lease_until < ?", (now,))
            db.execute("INSERT OR REPLACE INTO host_sessions VALUES (?, ?, ?)", (key, host, now + lease_s))
            if breaker.state == "open":
                db.execute("UPDATE breaker SET state = 'probing', probe = ?", (key,))
            return True

    def renew(self, keys: Sequence[str], lease_s: float) -> None:
        """Extend the sessions of sources."""
        with self._db.writing() as db:
            until = self._clock() + lease_s
            db.executemany(
                "UPDATE host_sessions SET lease_until = ? WHERE key = ?", [(until, key) for key in keys]
            )

    def end(self, key: str, result: SessionEnd | DownloadFailure) -> None:
        """End a session and update the breaker by its result."""
        with self._db.writing() as db:
            db.execute("DELETE FROM host_sessions WHERE key = ?", (key,))
            if isinstance(result, DownloadFailure):
                self._record_failure(db, key, result, self._clock())
            elif result is SessionEnd.RELEASED:
                self._end_probe(db, key, ok=None)
            else:
                strikes = ", rate_limits = 0" if result is SessionEnd.FETCHED else ""
                db.execute(f"UPDATE breaker SET unreachable = 0{strikes}")
                self._end_probe(db, key, ok=True)

    def reserve(self, host: str, key: str, piece: bool = False) -> float | None:
        """Take the next slot for one request to a host.

        Args:
            host: name of the host.
            key: source that the request is for.
            piece: a further piece of a file; it waits only for the pause of its host, because the rate
                limits videos and descriptions.

        Returns:
            Seconds to wait before the request; None if the breaker is open and `key` is not its probe.
        """
        with self._db.writing() as db:
            now = self._clock()
            breaker = db.execute("SELECT state, probe FROM breaker").fetchone()
            if breaker["state"] != "closed" and breaker["probe"] != key:
                return None
            host_slot = host + self._suffix
            rows = db.execute("SELECT * FROM gates WHERE name IN (?, ?)", (self._bucket, host_slot))
            free_at = {row["name"]: row["free_at"] for row in rows}
            full_at = max(free_at.get(self._bucket, 0.0), now)
            start = max(now, free_at.get(host_slot, 0.0))
            if not piece:
                start = max(start, full_at - (self._politeness.burst - 1) * self._interval)
            pause = self._politeness.pause_s * (1 + self._random.random() * self._politeness.jitter)
            slots = {host_slot: start + pause}
            if not piece:
                slots[self._bucket] = max(full_at, start) + self._interval
            db.executemany("INSERT OR REPLACE INTO gates VALUES (?, ?)", slots.items())
        return float(start - now)

    def charge(self, requests: int) -> None:
        """Charge requests that were sent without a reservation, such as those of redirects."""
        with self._db.writing() as db:
            row = db.execute("SELECT free_at FROM gates WHERE name = ?", (self._bucket,)).fetchone()
            free_at = max(row[0] if row else 0.0, self._clock()) + requests * self._interval
            db.execute("INSERT OR REPLACE INTO gates VALUES (?, ?)", (self._bucket, free_at))

    def rate_limited(self, retry_after_s: float | None) -> None:
        """Record an answer 429."""
        with self._db.writing() as db:
            db.execute("UPDATE breaker SET rate_limits = rate_limits + 1")
            strikes, state = db.execute("SELECT rate_limits, state FROM breaker").fetchone()
            if strikes >= self._breaker.rate_limits or state == "probing":
                self._trip(db, Cause.RATE_LIMIT, self._clock(), retry_after_s)

    @property
    def _interval(self) -> float:
        """Seconds between two tokens of the bucket."""
        return 60.0 / self._politeness.requests_per_minute

    def _has_session(self, key: str | None, now: float) -> bool:
        return bool(
            self._db.read("SELECT 1 FROM host_sessions WHERE key = ? AND lease_until >= ?", (key, now))
        )

    def _record_failure(self, db: sqlite3.Connection, key: str, failure: DownloadFailure, now: float) -> None:
        if failure.cause is Cause.BOT_CHECK or failure.session_limited:
            self._trip(db, failure.cause, now, failure.retry_after_s)
        elif failure.unreachable:
            db.execute("UPDATE breaker SET unreachable = unreachable + 1")
            if db.execute("SELECT unreachable FROM breaker").fetchone()[0] >= self._breaker.unreachable:
                self._trip(db, Cause.NETWORK, now, None)
            self._end_probe(db, key, ok=False)
        else:
            db.execute("UPDATE breaker SET unreachable = 0")
            self._end_probe(db, key, ok=failure.cause is not Cause.RATE_LIMIT)

    def _trip(self, db: sqlite3.Connection, cause: Cause, now: float, retry_after_s: float | None) -> None:
        """Open the breaker; it stays open longer each time without a success in between."""
        row = db.execute("SELECT state, wait_s FROM breaker").fetchone()
        if row["state"] == "open":
            return  # a session that began before it opened
        longer = row["wait_s"] * self._breaker.factor if row["state"] == "probing" else self._breaker.wait_s
        wait_s = min(max(longer, self._breaker.wait_s), self._breaker.longest_s)
        db.execute(
            "UPDATE breaker SET state = 'open', cause = ?, until = ?, wait_s = ?, probe = NULL, "
            "rate_limits = 0, unreachable = 0, trips = trips + 1",
            (cause, now + max(wait_s, retry_after_s or 0.0), wait_s),
        )

    def _end_probe(self, db: sqlite3.Connection, key: str, *, ok: bool | None) -> None:
        """Close the breaker after a good probe, open it after a bad one; None admits another probe."""
        row = db.execute("SELECT state, probe, wait_s FROM breaker").fetchone()
        if row["state"] != "probing" or row["probe"] != key:
            return
        if ok:
            db.execute(
                "UPDATE breaker SET state = 'closed', cause = NULL, until = 0, wait_s = 0, probe = NULL, "
                "rate_limits = 0, unreachable = 0"
            )
            return
        wait_s = min(row["wait_s"] * self._breaker.factor, self._breaker.longest_s) if ok is False else 0.0
        db.execute(
            "UPDATE breaker SET state = 'open', probe = NULL, until = ?, wait_s = ?",
            (self._clock() + wait_s, max(wait_s, row["wait_s"])),
        )
