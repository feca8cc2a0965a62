"""The ledger: every source with its state, and the gates that all workers pass; SQLite, one writer."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from curation.acquisition.causes import POLICIES, Cause, Failure
from curation.acquisition.settings import Breaker, Politeness
from curation.acquisition.source_list import Wanted
from talkingpose.errors import UserError

_SCHEMA_VERSION = "1"
_TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
    key TEXT PRIMARY KEY, place INTEGER NOT NULL,
    source TEXT NOT NULL, source_id TEXT NOT NULL, url TEXT NOT NULL, host TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', cause TEXT, message TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, next_retry_at REAL NOT NULL DEFAULT 0,
    owner TEXT, lease_until REAL,
    file TEXT, num_bytes INTEGER, sha256 TEXT, kept INTEGER NOT NULL DEFAULT 0,
    license TEXT, uploader_id TEXT, fetched_at REAL, info_sha256 TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {table}_by_turn ON {table} (state, next_retry_at, place);
"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spans (
    key TEXT NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL, PRIMARY KEY (key, start_s, end_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gates (name TEXT PRIMARY KEY, free_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS breaker (
    id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL, cause TEXT, until REAL NOT NULL,
    wait_s REAL NOT NULL, probe TEXT, rate_limits INTEGER NOT NULL, unreachable INTEGER NOT NULL,
    trips INTEGER NOT NULL
);
INSERT OR IGNORE INTO breaker VALUES (1, 'closed', NULL, 0, 0, NULL, 0, 0, 0);
CREATE TABLE IF NOT EXISTS tombstones (digest TEXT PRIMARY KEY, forgotten_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS releases (folder TEXT PRIMARY KEY) WITHOUT ROWID;
"""
# A wait for another process's transaction; they are all short.
_BUSY_S = 60.0


class LedgerError(UserError):
    """A ledger that cannot be opened or written."""


class State(StrEnum):
    """Where a source is on its way."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    REJECTED = "rejected"
    DEAD = "dead"


@dataclass(frozen=True)
class Entry:
    """A source as the ledger knows it; times in seconds since 1970."""

    key: str
    place: int
    source: str
    source_id: str
    url: str
    host: str
    state: State
    cause: Cause | None
    message: str | None
    attempts: int
    next_retry_at: float
    owner: str | None
    lease_until: float | None
    file: str | None
    num_bytes: int | None
    sha256: str | None
    kept: bool
    license: str | None
    uploader_id: str | None
    fetched_at: float | None
    info_sha256: str | None


@dataclass(frozen=True)
class Fetched:
    """What an attempt brought.

    Attributes:
        file: relative to the acquisition's folder; empty where it was only looked at.
        num_bytes, sha256: of that file.
        fetched_at: seconds since 1970.
        info_sha256: of the info JSON beside it.
    """

    file: str
    num_bytes: int
    sha256: str
    license: str | None
    uploader_id: str | None
    fetched_at: float
    info_sha256: str


@dataclass(frozen=True)
class BreakerState:
    """The breaker as it stands. `state` is `closed`, `open` or `probing`."""

    state: str
    cause: Cause | None
    until: float
    trips: int


@dataclass(frozen=True)
class Turn:
    """A worker's orders: work on `entry`, or come back in `wait_s`; with neither, nothing is left."""

    entry: Entry | None = None
    wait_s: float | None = None


class Ledger:
    """One open ledger; safe for threads, and for several processes on one machine.

    Args:
        path: of the SQLite file; made if need be.
        politeness, breaker: how the gates work.
        wait_scale: waits of the table of causes are multiplied by it.
        read_only: refuse to make a new one.
        table: `sources` are fetched, `audits` only looked at; the gates are the same.

    Raises:
        LedgerError: the file is no ledger, of another version, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        politeness: Politeness | None = None,
        breaker: Breaker | None = None,
        *,
        wait_scale: float = 1.0,
        read_only: bool = False,
        table: Literal["sources", "audits"] = "sources",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._t = table
        self._politeness = politeness or Politeness()
        self._breaker = breaker or Breaker()
        self._scale = wait_scale
        self._clock = clock
        self._lock = threading.RLock()
        self._random = secrets.SystemRandom()
        if read_only and not path.is_file():
            raise LedgerError(f"ledger {path}: there is none: give the --out of a run that fetched sources")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA wal_autocheckpoint=100")
            # What is deleted is overwritten: `forget` promises it.
            self._db.execute("PRAGMA secure_delete=ON")
            self._create()
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise LedgerError(f"ledger {path}: cannot be opened ({reason}): check the folder") from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was written stays."""
        with self._lock:
            self._db.close()

    # Sources

    def add(self, wanted: Iterable[Wanted]) -> tuple[int, int, int]:
        """Enter sources; returns how many are new, how many were known, how many are never to be fetched."""
        new = known = forgotten = 0
        with self._writing() as db:
            tombs = {row[0] for row in db.execute("SELECT digest FROM tombstones")}
            keys = {row[0] for row in db.execute(f"SELECT key FROM {self._t}")}
            salt = self._salt(db)
            place = db.execute(f"SELECT COALESCE(MAX(place), 0) FROM {self._t}").fetchone()[0]
            for one in wanted:
                if tombs and _digest(salt, f"{one.source}:{one.source_id}") in tombs:
                    forgotten += 1
                    continue
                if one.key in keys:
                    known += 1
                    if not one.spans:
                        db.execute("DELETE FROM spans WHERE key = ?", (one.key,))
                else:
                    new += 1
                    place += 1
                    keys.add(one.key)
                    db.execute(
                        f"INSERT INTO {self._t} (key, place, source, source_id, url, host) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        (
                            one.key,
                            place,
                            one.source,
                            one.source_id,
                            one.url,
                            urlsplit(one.url).hostname or "",
                        ),
                    )
                if one.spans:
                    db.executemany(
                        "INSERT OR IGNORE INTO spans VALUES (?, ?, ?)",
                        [(one.key, start, end) for start, end in one.spans],
                    )
        return new, known, forgotten

    def entry(self, key: str) -> Entry | None:
        """One source."""
        rows = self._read(f"SELECT * FROM {self._t} WHERE key = ?", (key,))
        return _entry(rows[0]) if rows else None

    def entries(self, state: State | None = None) -> list[Entry]:
        """All sources, or those in one state, in the order they were entered."""
        if state is None:
            return [_entry(row) for row in self._read(f"SELECT * FROM {self._t} ORDER BY place")]
        return [
            _entry(row)
            for row in self._read(f"SELECT * FROM {self._t} WHERE state = ? ORDER BY place", (state,))
        ]

    def spans(self, key: str) -> list[tuple[float, float]]:
        """The wanted spans of a source in seconds; none means all of it."""
        rows = self._read("SELECT start_s, end_s FROM spans WHERE key = ? ORDER BY start_s, end_s", (key,))
        return [(row[0], row[1]) for row in rows]

    def find(self, name: str) -> list[Entry]:
        """Sources by id, address, key or content hash, fetched or only asked for."""
        rows = [
            row
            for table in ("audits", "sources")
            for row in self._read(
                f"SELECT * FROM {table} WHERE source_id = ?1 OR url = ?1 OR key = ?1 OR sha256 = ?1", (name,)
            )
        ]
        return list({entry.key: entry for entry in map(_entry, rows)}.values())

    def counts(self) -> list[tuple[State, Cause | None, int, int]]:
        """(state, cause, sources, bytes on the disk) of every pair there is."""
        rows = self._read(
            f"SELECT state, cause, COUNT(*), SUM(CASE WHEN kept THEN num_bytes ELSE 0 END) FROM {self._t} "
            "GROUP BY state, cause ORDER BY state, COUNT(*) DESC"
        )
        return [(State(r[0]), Cause(r[1]) if r[1] else None, r[2], r[3] or 0) for r in rows]

    def fetched_since(self, when: float) -> tuple[int, int, float | None]:
        """(sources, bytes, time of the first) of those fetched since then."""
        row = self._read(
            f"SELECT COUNT(*), SUM(num_bytes), MIN(fetched_at) FROM {self._t} "
            "WHERE state = 'done' AND fetched_at >= ?",
            (when,),
        )[0]
        return row[0], row[1] or 0, row[2]

    def num_bytes(self) -> int:
        """Bytes of the finished files that lie on the disk."""
        return int(self._read(f"SELECT COALESCE(SUM(num_bytes), 0) FROM {self._t} WHERE kept")[0][0])

    # A worker's turn

    def turn(self, owner: str, lease_s: float) -> Turn:
        """Take the next source whose time has come, unless the breaker or a host's limit says otherwise.

        An open breaker whose wait is over lets one source through, the probe.
        """
        with self._writing() as db:
            now = self._clock()
            breaker = db.execute("SELECT * FROM breaker").fetchone()
            if breaker["state"] == "probing":
                return Turn(wait_s=1.0)
            if breaker["state"] == "open" and now < breaker["until"]:
                return Turn(wait_s=breaker["until"] - now)
            row = db.execute(
                f"SELECT * FROM {self._t} AS s WHERE state = 'waiting' AND next_retry_at <= ?1 AND "
                f"(SELECT COUNT(*) FROM {self._t} AS t WHERE t.state = 'working' AND t.host = s.host) < ?2 "
                "ORDER BY attempts, next_retry_at, place LIMIT 1",
                (now, self._politeness.sessions_per_host),
            ).fetchone()
            if row is None:
                return Turn(wait_s=_until_next(db, self._t, now))
            db.execute(
                f"UPDATE {self._t} SET state = 'working', owner = ?, lease_until = ? WHERE key = ?",
                (owner, now + lease_s, row["key"]),
            )
            if breaker["state"] == "open":
                db.execute("UPDATE breaker SET state = 'probing', probe = ?", (row["key"],))
            return Turn(entry=_entry(row))

    def renew(self, owners: str, lease_s: float) -> None:
        """Sign on for all sources of the workers whose names begin with `owners`."""
        with self._writing() as db:
            db.execute(
                f"UPDATE {self._t} SET lease_until = ? WHERE state = 'working' AND substr(owner, 1, ?) = ?",
                (self._clock() + lease_s, len(owners), owners),
            )

    def reclaim(self) -> int:
        """Give back what workers held that are gone; returns how many sources."""
        with self._writing() as db:
            now = self._clock()
            rows = db.execute(
                f"SELECT key, owner, lease_until FROM {self._t} WHERE state = 'working'"
            ).fetchall()
            lost = [row["key"] for row in rows if _is_gone(row["owner"], row["lease_until"], now)]
            db.executemany(
                f"UPDATE {self._t} SET state = 'waiting', owner = NULL, lease_until = NULL WHERE key = ?",
                [(key,) for key in lost],
            )
            db.executemany(
                "UPDATE breaker SET state = 'open', probe = NULL WHERE state = 'probing' AND probe = ?",
                [(key,) for key in lost],
            )
        return len(lost)

    def release(self, key: str, wait_s: float = 0.0, failure: Failure | None = None) -> None:
        """Give a source back; the attempt does not count."""
        with self._writing() as db:
            db.execute(
                f"UPDATE {self._t} SET state = 'waiting', owner = NULL, lease_until = NULL, "
                "next_retry_at = ?, cause = COALESCE(?, cause), message = COALESCE(?, message) WHERE key = ?",
                (
                    self._clock() + wait_s,
                    failure.cause if failure else None,
                    failure.message if failure else None,
                    key,
                ),
            )
            self._probed(db, key, ok=None)

    def finish(self, key: str, fetched: Fetched) -> None:
        """The source is there."""
        with self._writing() as db:
            db.execute(
                f"UPDATE {self._t} SET state = 'done', cause = NULL, message = NULL, "
                "attempts = attempts + 1, "
                "owner = NULL, lease_until = NULL, next_retry_at = 0, file = ?, num_bytes = ?, sha256 = ?, "
                "kept = ?, license = ?, uploader_id = ?, fetched_at = ?, info_sha256 = ? WHERE key = ?",
                (
                    fetched.file,
                    fetched.num_bytes,
                    fetched.sha256,
                    bool(fetched.file),
                    fetched.license,
                    fetched.uploader_id,
                    fetched.fetched_at,
                    fetched.info_sha256,
                    key,
                ),
            )
            db.execute("UPDATE breaker SET rate_limits = 0, unreachable = 0")
            self._probed(db, key, ok=True)

    def reject(self, key: str, reason: str, license: str | None, info_sha256: str) -> None:
        """The source exists and is not wanted."""
        with self._writing() as db:
            db.execute(
                f"UPDATE {self._t} SET state = 'rejected', cause = NULL, message = ?, "
                "attempts = attempts + 1, "
                "owner = NULL, lease_until = NULL, license = ?, info_sha256 = ? WHERE key = ?",
                (reason, license, info_sha256, key),
            )
            db.execute("UPDATE breaker SET unreachable = 0")
            self._probed(db, key, ok=True)

    def fail(self, key: str, failure: Failure) -> Entry:
        """An attempt gave nothing: the table of causes says when the next one is, or that there is none."""
        policy = POLICIES[failure.cause]
        with self._writing() as db:
            now = self._clock()
            attempts = db.execute(f"SELECT attempts FROM {self._t} WHERE key = ?", (key,)).fetchone()[0] + 1
            dead = attempts >= policy.attempts
            wait_s = max(policy.wait(attempts) * self._scale, failure.retry_after_s or 0.0)
            db.execute(
                f"UPDATE {self._t} SET state = ?, cause = ?, message = ?, attempts = ?, next_retry_at = ?, "
                "owner = NULL, lease_until = NULL WHERE key = ?",
                (
                    State.DEAD if dead else State.WAITING,
                    failure.cause,
                    failure.message,
                    attempts,
                    0 if dead else now + wait_s,
                    key,
                ),
            )
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
            row = db.execute(f"SELECT * FROM {self._t} WHERE key = ?", (key,)).fetchone()
        return _entry(row)

    def revive(self, causes: Sequence[Cause]) -> int:
        """Let dead sources of these causes, or of all where none is named, start anew; returns how many."""
        marks = ", ".join("?" * len(causes))
        chosen = f" AND cause IN ({marks})" if causes else ""
        with self._writing() as db:
            cursor = db.execute(
                f"UPDATE {self._t} SET state = 'waiting', attempts = 0, next_retry_at = 0 "
                "WHERE state = 'dead'" + chosen,
                tuple(causes),
            )
        return cursor.rowcount

    def fetch_again(self, keys: Sequence[str]) -> None:
        """Let finished sources whose files were deleted be fetched once more."""
        with self._writing() as db:
            db.executemany(
                f"UPDATE {self._t} SET state = 'waiting', attempts = 0 "
                "WHERE key = ? AND state = 'done' AND kept = 0",
                [(key,) for key in keys],
            )

    def dropped(self, key: str) -> None:
        """The file of a finished source was deleted; the source stays done."""
        with self._writing() as db:
            db.execute(f"UPDATE {self._t} SET kept = 0 WHERE key = ?", (key,))

    # Gates

    def reserve(self, host: str, key: str) -> float | None:
        """Take the next slot for one request to a host.

        Returns:
            Seconds to wait before the request; None where the breaker is open and this is not its probe.
        """
        with self._writing() as db:
            breaker = db.execute("SELECT state, probe FROM breaker").fetchone()
            if breaker["state"] != "closed" and breaker["probe"] != key:
                return None
            now = self._clock()
            gates = {row["name"]: row["free_at"] for row in db.execute("SELECT * FROM gates")}
            interval = 60.0 / self._politeness.requests_per_minute
            # `*` is a token bucket told by one number: when it will be full again.
            full_at = max(gates.get("*", 0.0), now)
            start = max(now, full_at - (self._politeness.burst - 1) * interval, gates.get(host, 0.0))
            pause = self._politeness.pause_s * (1 + self._random.random() * self._politeness.jitter)
            for name, free_at in (("*", max(full_at, start) + interval), (host, start + pause)):
                db.execute("INSERT OR REPLACE INTO gates VALUES (?, ?)", (name, free_at))
        return float(start - now)

    def charge(self, requests: int) -> None:
        """Pay for requests that were made without asking, such as those of redirects."""
        interval = 60.0 / self._politeness.requests_per_minute
        with self._writing() as db:
            row = db.execute("SELECT free_at FROM gates WHERE name = '*'").fetchone()
            free_at = max(row[0] if row else 0.0, self._clock()) + requests * interval
            db.execute("INSERT OR REPLACE INTO gates VALUES ('*', ?)", (free_at,))

    def rate_limited(self, retry_after_s: float | None) -> None:
        """A host answered 429."""
        with self._writing() as db:
            db.execute("UPDATE breaker SET rate_limits = rate_limits + 1")
            strikes, state = db.execute("SELECT rate_limits, state FROM breaker").fetchone()
            if strikes >= self._breaker.rate_limits or state == "probing":
                self._trip(db, Cause.RATE_LIMIT, self._clock(), retry_after_s)

    def breaker(self) -> BreakerState:
        """The breaker as it stands."""
        row = self._read("SELECT * FROM breaker")[0]
        return BreakerState(
            row["state"], Cause(row["cause"]) if row["cause"] else None, row["until"], row["trips"]
        )

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

    # Forgetting

    def bar(self, marks: Iterable[str]) -> None:
        """Leave tombstones for `source:id` and `sha256:hex`; they tell nobody what lies below."""
        with self._writing() as db:
            now, salt = self._clock(), self._salt(db)
            rows = [(_digest(salt, mark), now) for mark in sorted(marks)]
            db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", rows)

    def delete(self, entries: Sequence[Entry]) -> None:
        """Delete sources; no byte of them is left in the file."""
        with self._writing() as db:
            for entry in entries:
                for table in ("sources", "audits", "spans"):
                    db.execute(f"DELETE FROM {table} WHERE key = ?", (entry.key,))
        with self._lock:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def is_forgotten(self, name: str) -> bool:
        """Whether a tombstone stands for `source:id` or `sha256:hex`."""
        with self._lock:
            salt = self._read("SELECT value FROM meta WHERE name = 'salt'")[0][0]
            return bool(self._read("SELECT 1 FROM tombstones WHERE digest = ?", (_digest(salt, name),)))

    def num_tombstones(self) -> int:
        """How many there are."""
        return int(self._read("SELECT COUNT(*) FROM tombstones")[0][0])

    def remember_release(self, folder: str) -> None:
        """A release was written there; `forget` goes through it too."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO releases VALUES (?)", (folder,))

    def releases(self) -> list[str]:
        """Folders of releases, as they were remembered."""
        return [row[0] for row in self._read("SELECT folder FROM releases ORDER BY folder")]

    def note(self, name: str, value: str | None) -> None:
        """Keep a word for whoever asks for the status, or take it back."""
        with self._writing() as db:
            if value is None:
                db.execute("DELETE FROM meta WHERE name = ?", (f"note:{name}",))
            else:
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note:{name}", value))

    def notes(self) -> Mapping[str, str]:
        """Words that were kept, by name."""
        rows = self._read("SELECT name, value FROM meta WHERE name LIKE 'note:%' ORDER BY name")
        return {row[0].removeprefix("note:"): row[1] for row in rows}

    # SQLite

    def _create(self) -> None:
        known = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        if not known:
            tables = " ".join(_TABLE.format(table=name) for name in ("sources", "audits"))
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {tables} COMMIT;")
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (_SCHEMA_VERSION,))
            db.execute("INSERT OR IGNORE INTO meta VALUES ('salt', ?)", (secrets.token_hex(16),))
            version = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()[0]
        if version != _SCHEMA_VERSION:
            raise LedgerError(f"ledger {self.path}: its version is {version}: use the release that wrote it")

    def _salt(self, db: sqlite3.Connection) -> str:
        return str(db.execute("SELECT value FROM meta WHERE name = 'salt'").fetchone()[0])

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, whole or not at all; it waits for those of others."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def is_full(error: sqlite3.OperationalError) -> bool:
    """Whether the ledger could not be written for want of room; nothing of it was, then."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def process_owner() -> str:
    """A name for this process that no other one on any machine has, now or later."""
    import psutil

    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def _is_gone(owner: str | None, lease_until: float | None, now: float) -> bool:
    import psutil

    if owner is None or lease_until is None:
        return True
    host, pid, born, *_ = [*owner.split("/"), "", ""]
    if host == socket.gethostname() and pid.isdigit():
        try:
            return f"{psutil.Process(int(pid)).create_time():.2f}" != born
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            pass
    return lease_until < now


def _until_next(db: sqlite3.Connection, table: str, now: float) -> float | None:
    """Seconds until a worker has a chance of work: the next retry, or soon where others are at work."""
    working, next_at = db.execute(
        f"SELECT SUM(state = 'working'), MIN(CASE WHEN state = 'waiting' THEN next_retry_at END) FROM {table}"
    ).fetchone()
    waits = [0.5] if working else []
    if next_at is not None:
        waits.append(max(next_at - now, 0.05))
    return min(waits) if waits else None


def _entry(row: sqlite3.Row) -> Entry:
    values = dict(row)
    values["state"] = State(values["state"])
    values["cause"] = Cause(values["cause"]) if values["cause"] else None
    values["kept"] = bool(values["kept"])
    return Entry(**values)


def _digest(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt} {name}".encode()).hexdigest()
