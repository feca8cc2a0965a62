"""The gate in the ledger's file: for all threads and processes of this machine, and those it serves."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Sequence

from curation.download.database import Database
from curation.download.failures import Cause, DownloadFailure
from curation.download.rate_limiter import BreakerState, End, RateLimiterState
from curation.download.settings import BreakerSettings, PolitenessSettings

SCHEMA = """
CREATE TABLE IF NOT EXISTS gates (name TEXT PRIMARY KEY, free_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS breaker (
    id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL, cause TEXT, until REAL NOT NULL,
    wait_s REAL NOT NULL, probe TEXT, rate_limits INTEGER NOT NULL, unreachable INTEGER NOT NULL,
    trips INTEGER NOT NULL
);
INSERT OR IGNORE INTO breaker VALUES (1, 'closed', NULL, 0, 0, NULL, 0, 0, 0);
CREATE TABLE IF NOT EXISTS sessions (
    key TEXT PRIMARY KEY, machine TEXT NOT NULL, host TEXT NOT NULL, lease_until REAL NOT NULL
) WITHOUT ROWID;
"""


class LedgerRateLimiter:
    """See `Gate`; it never raises GateLost.

    Args:
        machine: whose sessions these are; the folder's own name for itself, or that of a machine served.
    """

    def __init__(
        self,
        database: Database,
        politeness: PolitenessSettings,
        breaker: BreakerSettings,
        machine: str,
        clock: Callable[[], float],
    ) -> None:
        self._db = database
        self._politeness = politeness
        self._breaker = breaker
        self._machine = machine
        self._clock = clock
        self._random = secrets.SystemRandom()

    def look(self) -> RateLimiterState:
        """See `Gate.look`."""
        now = self._clock()
        row = self._db.read("SELECT * FROM breaker")[0]
        cause = Cause(row["cause"]) if row["cause"] else None
        state = row["state"]
        if state == "probing" and not self._alive(row["probe"], now):
            state = "open"
        hosts = self._db.read(
            "SELECT host FROM sessions WHERE lease_until >= ? GROUP BY host HAVING COUNT(*) >= ?",
            (now, self._politeness.sessions_per_host),
        )
        full = frozenset(str(one["host"]) for one in hosts)
        return RateLimiterState(BreakerState(state, cause, row["until"], row["trips"]), full)

    def enter(self, key: str, host: str, lease_s: float) -> bool:
        """See `Gate.enter`."""
        with self._db.writing() as db:
            now = self._clock()
            standing = self.look()
            breaker = standing.breaker
            if breaker.state == "probing" or (breaker.state == "open" and now < breaker.until):
                return False
            held = self._alive(key, now)
            if (held and held != self._machine) or (not held and host in standing.full_hosts):
                return False
            db.execute("DELETE FROM sessions WHERE lease_until < ?", (now,))
            db.execute(
                "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)",
                (key, self._machine, host, now + lease_s),
            )
            if breaker.state == "open":
                db.execute("UPDATE breaker SET state = 'probing', probe = ?", (key,))
            return True

    def renew(self, keys: Sequence[str], lease_s: float) -> None:
        """See `Gate.renew`."""
        with self._db.writing() as db:
            until = self._clock() + lease_s
            db.executemany(
                "UPDATE sessions SET lease_until = ? WHERE key = ? AND machine = ?",
                [(until, key, self._machine) for key in keys],
            )

    def leave(self, key: str, end: End | DownloadFailure) -> None:
        """See `Gate.leave`."""
        with self._db.writing() as db:
            now = self._clock()
            held = self._alive(key, now)
            if held and held != self._machine:
                return
            db.execute("DELETE FROM sessions WHERE key = ?", (key,))
            if isinstance(end, DownloadFailure):
                self._failed(db, key, end, now)
            elif end is End.GIVEN_BACK:
                self._probed(db, key, ok=None)
            else:
                strikes = ", rate_limits = 0" if end is End.FETCHED else ""
                db.execute(f"UPDATE breaker SET unreachable = 0{strikes}")
                self._probed(db, key, ok=True)

    def reserve(self, host: str, key: str, piece: bool = False) -> float | None:
        """See `Gate.reserve`."""
        with self._db.writing() as db:
            now = self._clock()
            breaker = db.execute("SELECT state, probe FROM breaker").fetchone()
            if breaker["state"] != "closed" and breaker["probe"] != key:
                return None
            if self._alive(key, now) not in (None, self._machine):
                return None
            gates = {row["name"]: row["free_at"] for row in db.execute("SELECT * FROM gates")}
            interval = 60.0 / self._politeness.requests_per_minute
            # `*` is a token bucket told by one number: when it will be full again.
            full_at = max(gates.get("*", 0.0), now)
            start = max(now, gates.get(host, 0.0))
            if not piece:
                start = max(start, full_at - (self._politeness.burst - 1) * interval)
            pause = self._politeness.pause_s * (1 + self._random.random() * self._politeness.jitter)
            slots = {host: start + pause} | ({} if piece else {"*": max(full_at, start) + interval})
            db.executemany("INSERT OR REPLACE INTO gates VALUES (?, ?)", slots.items())
        return float(start - now)

    def charge(self, requests: int) -> None:
        """See `Gate.charge`."""
        interval = 60.0 / self._politeness.requests_per_minute
        with self._db.writing() as db:
            row = db.execute("SELECT free_at FROM gates WHERE name = '*'").fetchone()
            free_at = max(row[0] if row else 0.0, self._clock()) + requests * interval
            db.execute("INSERT OR REPLACE INTO gates VALUES ('*', ?)", (free_at,))

    def rate_limited(self, retry_after_s: float | None) -> None:
        """See `Gate.rate_limited`."""
        with self._db.writing() as db:
            db.execute("UPDATE breaker SET rate_limits = rate_limits + 1")
            strikes, state = db.execute("SELECT rate_limits, state FROM breaker").fetchone()
            if strikes >= self._breaker.rate_limits or state == "probing":
                self._trip(db, Cause.RATE_LIMIT, self._clock(), retry_after_s)

    def _alive(self, key: str | None, now: float) -> str | None:
        """The machine that has a session of this source."""
        rows = self._db.read("SELECT machine FROM sessions WHERE key = ? AND lease_until >= ?", (key, now))
        return str(rows[0]["machine"]) if rows else None

    def _failed(self, db: sqlite3.Connection, key: str, failure: DownloadFailure, now: float) -> None:
        if failure.cause is Cause.BOT_CHECK or failure.session_limited:
            self._trip(db, failure.cause, now, failure.retry_after_s)
        elif failure.unreachable:
            db.execute("UPDATE breaker SET unreachable = unreachable + 1")
            if db.execute("SELECT unreachable FROM breaker").fetchone()[0] >= self._breaker.unreachable:
                self._trip(db, Cause.NETWORK, now, None)
            self._probed(db, key, ok=False)
        else:
            db.execute("UPDATE breaker SET unreachable = 0")
            self._probed(db, key, ok=failure.cause is not Cause.RATE_LIMIT)

    def _trip(self, db: sqlite3.Connection, cause: Cause, now: float, retry_after_s: float | None) -> None:
        """Open the breaker; each time without a success in between it stays open for longer."""
        row = db.execute("SELECT state, wait_s FROM breaker").fetchone()
        if row["state"] == "open":
            return  # sessions that were under way when it opened
        longer = row["wait_s"] * self._breaker.factor if row["state"] == "probing" else self._breaker.wait_s
        wait_s = min(max(longer, self._breaker.wait_s), self._breaker.longest_s)
        db.execute(
            "UPDATE breaker SET state = 'open', cause = ?, until = ?, wait_s = ?, probe = NULL, "
            "rate_limits = 0, unreachable = 0, trips = trips + 1",
            (cause, now + max(wait_s, retry_after_s or 0.0), wait_s),
        )

    def _probed(self, db: sqlite3.Connection, key: str, *, ok: bool | None) -> None:
        """What the probe's end means: all well, wait again, or (None) nothing, let another one try."""
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
