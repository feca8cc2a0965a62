"""Ledger of an output folder: every remote source with its state, in SQLite."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from curation.download.database import Database
from curation.download.failures import POLICIES, Cause, DownloadFailure
from curation.download.rate_limiter import SCHEMA as _RATE_LIMITER_SCHEMA
from curation.download.rate_limiter import BreakerState, RateLimiter, SessionEnd
from curation.download.settings import DownloadSettings
from curation.download.source_list import RemoteSource
from talkingpose.io.errors import UserError
from talkingpose.io.shard import Shard

_LEDGER = "ledger.sqlite"
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
CREATE TABLE IF NOT EXISTS tombstones (digest TEXT PRIMARY KEY, forgotten_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS releases (folder TEXT PRIMARY KEY) WITHOUT ROWID;
"""
# Tables of former versions that held only the state of a running process.
_FORMER_TABLES = "DROP TABLE IF EXISTS sessions; DROP TABLE IF EXISTS machines;"

# Seconds until a worker asks again while other workers or hosts are busy.
_SOON_S = 0.5


class LedgerError(UserError):
    """A ledger that cannot be opened or written."""


class State(StrEnum):
    """State of a source."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    REJECTED = "rejected"
    DEAD = "dead"


@dataclass(frozen=True)
class LedgerEntry:
    """A source in the ledger; times in seconds since 1970."""

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

    @property
    def name(self) -> str:
        """Readable name: site and id, or the address."""
        return self.url if self.source == "url" else f"{self.source}:{self.source_id}"


@dataclass(frozen=True)
class FetchedSource:
    """Result of a successful attempt.

    Attributes:
        file: path relative to the folder of downloads; empty for an audit.
        num_bytes, sha256: of that file.
        fetched_at: seconds since 1970.
        info_sha256: of the info JSON beside the file.
    """

    file: str
    num_bytes: int
    sha256: str
    license: str | None
    uploader_id: str | None
    fetched_at: float
    info_sha256: str


@dataclass(frozen=True)
class Lease:
    """Order for a worker: process `entry`, or return after `wait_s`; if both are None, nothing remains."""

    entry: LedgerEntry | None = None
    wait_s: float | None = None


class Ledger:
    """An open ledger; safe for threads and processes.

    Args:
        path: SQLite file; it is created if missing.
        settings: politeness, breaker and retry waits.
        shard: shard of the run that uses it. Processes of several machines may then share the file, and the
            rate limits of `settings` are divided by the number of shards.
        read_only: refuse to create the file.
        table: `sources` are fetched, `audits` only looked up; both share the rate limits.
        clock: returns seconds since 1970.

    Raises:
        LedgerError: the file is not a ledger, has another version, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        settings: DownloadSettings | None = None,
        *,
        shard: Shard | None = None,
        read_only: bool = False,
        table: Literal["sources", "audits"] = "sources",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.clock = clock
        self._t = table
        # SQL condition of the sources that `take` leases; see `select`.
        self._selection = "TRUE"
        chosen = settings or DownloadSettings()
        self._wait_scale = chosen.wait_scale
        if read_only and not path.is_file():
            raise LedgerError(f"ledger {path}: no such file: give the --out of a run that downloaded sources")
        try:
            self._db = Database(path, shared=shard is not None)
            self._create()
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise LedgerError(f"ledger {path}: cannot be opened ({reason}): check the folder") from error
        politeness = chosen.politeness.divided(shard.of if shard else 1)
        self.rate_limiter = RateLimiter(self._db, politeness, chosen.breaker, self.clock, shard)

    def __enter__(self) -> Self:
        """Return the open ledger."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the ledger."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Sources

    def add(self, wanted: Iterable[RemoteSource]) -> None:
        """Enter sources; those with a tombstone are left out."""
        with self._db.writing() as db:
            tombstones = {row[0] for row in db.execute("SELECT digest FROM tombstones")}
            keys = {row[0] for row in db.execute(f"SELECT key FROM {self._t}")}
            salt = self._meta("salt")
            place = db.execute(f"SELECT COALESCE(MAX(place), 0) FROM {self._t}").fetchone()[0]
            for one in wanted:
                if tombstones and _digest(salt, f"{one.source}:{one.source_id}") in tombstones:
                    continue
                if one.key not in keys:
                    place += 1
                    keys.add(one.key)
                    host = urlsplit(one.url).hostname or ""
                    db.execute(
                        f"INSERT INTO {self._t} (key, place, source, source_id, url, host) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        (one.key, place, one.source, one.source_id, one.url, host),
                    )
                elif not one.spans:
                    db.execute("DELETE FROM spans WHERE key = ?", (one.key,))
                db.executemany(
                    "INSERT OR IGNORE INTO spans VALUES (?, ?, ?)",
                    [(one.key, start, end) for start, end in one.spans],
                )

    def select(self, keys: Iterable[str]) -> None:
        """Restrict `take`, `missing` and `num_waiting` of this object to the sources of these keys."""
        with self._db.writing() as db:
            db.execute("CREATE TEMP TABLE IF NOT EXISTS selected (key TEXT PRIMARY KEY) WITHOUT ROWID")
            db.execute("DELETE FROM selected")
            db.executemany("INSERT OR IGNORE INTO selected VALUES (?)", [(key,) for key in keys])
        self._selection = "key IN (SELECT key FROM temp.selected)"

    def entry(self, key: str) -> LedgerEntry | None:
        """Return one source."""
        rows = self._db.read(f"SELECT * FROM {self._t} WHERE key = ?", (key,))
        return _entry(rows[0]) if rows else None

    def entries(self, state: State | None = None) -> list[LedgerEntry]:
        """Return all sources, or those in one state, in the order they were entered."""
        chosen = "" if state is None else "WHERE state = ?"
        values = () if state is None else (state,)
        rows = self._db.read(f"SELECT * FROM {self._t} {chosen} ORDER BY place", values)
        return [_entry(row) for row in rows]

    def missing(self) -> list[LedgerEntry]:
        """Return the selected sources that are neither fetched nor rejected, in the order of their entry."""
        rows = self._db.read(
            f"SELECT * FROM {self._t} WHERE state NOT IN ('done', 'rejected') AND {self._selection} "
            "ORDER BY place"
        )
        return [_entry(row) for row in rows]

    def num_waiting(self) -> int:
        """Return the number of selected sources that wait for an attempt."""
        query = f"SELECT COUNT(*) FROM {self._t} WHERE state = 'waiting' AND {self._selection}"
        return int(self._db.read(query)[0][0])

    def spans(self, key: str) -> list[tuple[float, float]]:
        """Return the requested spans of a source in seconds; an empty list stands for the whole source."""
        rows = self._db.read("SELECT start_s, end_s FROM spans WHERE key = ? ORDER BY start_s, end_s", (key,))
        return [(row[0], row[1]) for row in rows]

    def find(self, name: str) -> list[LedgerEntry]:
        """Return sources by id, address, key or content hash, whether fetched or audited."""
        rows = [
            row
            for table in ("audits", "sources")
            for row in self._db.read(
                f"SELECT * FROM {table} WHERE source_id = ?1 OR url = ?1 OR key = ?1 OR sha256 = ?1", (name,)
            )
        ]
        return list({entry.key: entry for entry in map(_entry, rows)}.values())

    def keys(self) -> set[str]:
        """Return the keys of all sources, whether fetched or audited."""
        return {row[0] for row in self._db.read("SELECT key FROM sources UNION SELECT key FROM audits")}

    def kept(self) -> set[str]:
        """Return the keys of the sources whose files are on the disk."""
        return {row[0] for row in self._db.read(f"SELECT key FROM {self._t} WHERE state = 'done' AND kept")}

    def counts(self) -> list[tuple[State, Cause | None, int, int]]:
        """Return (state, cause, number of sources, bytes on the disk) of every pair of state and cause."""
        rows = self._db.read(
            f"SELECT state, cause, COUNT(*), SUM(CASE WHEN kept THEN num_bytes ELSE 0 END) FROM {self._t} "
            "GROUP BY state, cause ORDER BY state, COUNT(*) DESC"
        )
        return [(State(r[0]), Cause(r[1]) if r[1] else None, r[2], r[3] or 0) for r in rows]

    def fetched_since(self, when: float) -> tuple[int, int, float | None]:
        """Return (number of sources, bytes, time of the first) of those fetched since a time."""
        row = self._db.read(
            f"SELECT COUNT(*), SUM(num_bytes), MIN(fetched_at) FROM {self._t} "
            "WHERE state = 'done' AND fetched_at >= ?",
            (when,),
        )[0]
        return row[0], row[1] or 0, row[2]

    # Work of one worker

    def take(self, owner: str, lease_s: float) -> Lease:
        """Lease the next due source to a worker, as far as the rate limiter allows."""
        with self._db.writing() as db:
            now = self.clock()
            limiter = self.rate_limiter.state()
            breaker = limiter.breaker
            if breaker.state == "probing":
                return Lease(wait_s=1.0)
            if breaker.state == "open" and now < breaker.until:
                return Lease(wait_s=breaker.until - now)
            row = db.execute(
                f"SELECT * FROM {self._t} WHERE state = 'waiting' AND next_retry_at <= ? "
                f"AND host NOT IN (SELECT value FROM json_each(?)) AND {self._selection} "
                "ORDER BY attempts, next_retry_at, place LIMIT 1",
                (now, json.dumps(sorted(limiter.full_hosts))),
            ).fetchone()
            if row is None:
                return Lease(wait_s=self._until_next(db, now))
            if not self.rate_limiter.begin(row["key"], row["host"], lease_s):
                return Lease(wait_s=_SOON_S)
            self._update(db, row["key"], State.WORKING, owner=owner, lease_until=now + lease_s)
            return Lease(entry=_entry(row))

    def renew(self, owners: str, lease_s: float) -> None:
        """Extend the leases of all workers whose names begin with `owners`."""
        with self._db.writing() as db:
            rows = db.execute(
                f"UPDATE {self._t} SET lease_until = ? WHERE state = 'working' AND substr(owner, 1, ?) = ? "
                "RETURNING key",
                (self.clock() + lease_s, len(owners), owners),
            ).fetchall()
            self.rate_limiter.renew([row["key"] for row in rows], lease_s)

    def reclaim(self) -> int:
        """Release the sources of dead workers; returns their number."""
        with self._db.writing() as db:
            now = self.clock()
            rows = db.execute(
                f"SELECT key, owner, lease_until FROM {self._t} WHERE state = 'working'"
            ).fetchall()
            lost = [row["key"] for row in rows if _is_dead(row["owner"], row["lease_until"], now)]
            for key in lost:
                self._update(db, key, State.WAITING)
                self.rate_limiter.end(key, SessionEnd.RELEASED)
        return len(lost)

    def release(self, key: str, wait_s: float = 0.0, failure: DownloadFailure | None = None) -> None:
        """Release a source; the attempt does not count."""
        reason = {"cause": failure.cause, "message": failure.message} if failure else {}
        with self._db.writing() as db:
            self._update(db, key, State.WAITING, next_retry_at=self.clock() + wait_s, **reason)
            self.rate_limiter.end(key, SessionEnd.RELEASED)

    def finish(self, key: str, fetched: FetchedSource) -> None:
        """Enter the result of a successful attempt; a forgotten source is ignored."""
        with self._db.writing() as db:
            values = {name: getattr(fetched, name) for name in fetched.__dataclass_fields__}
            db.execute(f"UPDATE {self._t} SET attempts = attempts + 1 WHERE key = ?", (key,))
            done = {"cause": None, "message": None, "next_retry_at": 0, "kept": bool(fetched.file)}
            self._update(db, key, State.DONE, **done, **values)
            self.rate_limiter.end(key, SessionEnd.FETCHED)

    def reject(self, key: str, reason: str, license: str | None, info_sha256: str) -> None:
        """Enter that a source exists and fails the prefilter."""
        with self._db.writing() as db:
            db.execute(f"UPDATE {self._t} SET attempts = attempts + 1 WHERE key = ?", (key,))
            self._update(
                db, key, State.REJECTED, cause=None, message=reason, license=license, info_sha256=info_sha256
            )
            self.rate_limiter.end(key, SessionEnd.REJECTED)

    def fail(self, key: str, failure: DownloadFailure) -> LedgerEntry | None:
        """Enter a failed attempt; the policy of its cause decides about the next one.

        Returns:
            The source afterwards; None if it was forgotten in the meantime.
        """
        policy = POLICIES[failure.cause]
        with self._db.writing() as db:
            row = db.execute(f"SELECT attempts FROM {self._t} WHERE key = ?", (key,)).fetchone()
            attempts = (row[0] if row else 0) + 1
            dead = attempts >= policy.attempts
            wait_s = max(policy.wait(attempts) * self._wait_scale, failure.retry_after_s or 0.0)
            self._update(
                db,
                key,
                State.DEAD if dead else State.WAITING,
                cause=failure.cause,
                message=failure.message,
                attempts=attempts,
                next_retry_at=0 if dead else self.clock() + wait_s,
            )
            self.rate_limiter.end(key, failure)
        return self.entry(key)

    def revive(self, causes: Sequence[Cause] = ()) -> int:
        """Reset dead sources of these causes, or of all causes, to waiting; returns their number."""
        marks = ", ".join("?" * len(causes))
        chosen = f" AND cause IN ({marks})" if causes else ""
        with self._db.writing() as db:
            cursor = db.execute(
                f"UPDATE {self._t} SET state = 'waiting', attempts = 0, next_retry_at = 0 "
                "WHERE state = 'dead'" + chosen,
                tuple(causes),
            )
        return cursor.rowcount

    def fetch_again(self, keys: Iterable[str]) -> None:
        """Reset finished sources whose files were deleted to waiting."""
        with self._db.writing() as db:
            db.executemany(
                f"UPDATE {self._t} SET state = 'waiting', attempts = 0 "
                "WHERE key = ? AND state = 'done' AND kept = 0",
                [(key,) for key in keys],
            )

    def clear(self) -> None:
        """Delete all sources of the table."""
        with self._db.writing() as db:
            db.execute(f"DELETE FROM {self._t}")

    def mark_deleted(self, key: str) -> None:
        """Enter that the file of a finished source is deleted; the source stays done."""
        with self._db.writing() as db:
            db.execute(f"UPDATE {self._t} SET kept = 0 WHERE key = ?", (key,))

    def breaker(self) -> BreakerState:
        """Return the state of the breaker."""
        return self.rate_limiter.state().breaker

    def retry_network(self) -> None:
        """End the wait of a breaker that was opened by the network: the user may have repaired it."""
        with self._db.writing() as db:
            db.execute(
                "UPDATE breaker SET until = ? WHERE state = 'open' AND cause = ?",
                (self.clock(), Cause.NETWORK),
            )

    # Forgetting

    def add_tombstones(self, marks: Iterable[str]) -> None:
        """Bar sources named by `source:id` and `sha256:hex`; the stored digests do not reveal the names."""
        with self._db.writing() as db:
            now, salt = self.clock(), self._meta("salt")
            rows = [(_digest(salt, mark), now) for mark in sorted(marks)]
            db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", rows)

    def delete(self, entries: Sequence[LedgerEntry]) -> None:
        """Delete sources; no byte of them remains in the file."""
        with self._db.writing() as db:
            for entry in entries:
                for table in ("sources", "audits", "spans"):
                    db.execute(f"DELETE FROM {table} WHERE key = ?", (entry.key,))
                self.rate_limiter.end(entry.key, SessionEnd.RELEASED)
        self._db.compact()

    def is_forgotten(self, name: str) -> bool:
        """Return whether `source:id` or `sha256:hex` has a tombstone."""
        digest = _digest(self._meta("salt"), name)
        return bool(self._db.read("SELECT 1 FROM tombstones WHERE digest = ?", (digest,)))

    def barred_contents(self) -> BarredContents:
        """Return a copy of the tombstones for other processes."""
        digests = frozenset(row[0] for row in self._db.read("SELECT digest FROM tombstones"))
        return BarredContents(self._meta("salt") if digests else "", digests)

    def num_tombstones(self) -> int:
        """Return the number of tombstones."""
        return int(self._db.read("SELECT COUNT(*) FROM tombstones")[0][0])

    def remember_release(self, folder: str) -> None:
        """Enter the folder of a release, so that `forget` updates it."""
        with self._db.writing() as db:
            db.execute("INSERT OR IGNORE INTO releases VALUES (?)", (folder,))

    def releases(self) -> list[str]:
        """Return the folders of releases."""
        return [row[0] for row in self._db.read("SELECT folder FROM releases ORDER BY folder")]

    def note(self, name: str, value: str | None) -> None:
        """Store a note for `status`; None deletes it."""
        with self._db.writing() as db:
            if value is None:
                db.execute("DELETE FROM meta WHERE name = ?", (f"note:{name}",))
            else:
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note:{name}", value))

    def notes(self) -> Mapping[str, str]:
        """Return the notes by name."""
        rows = self._db.read("SELECT name, value FROM meta WHERE name LIKE 'note:%' ORDER BY name")
        return {row[0].removeprefix("note:"): row[1] for row in rows}

    # SQLite

    def _create(self) -> None:
        # The newest table tells whether a ledger of a former version has to be extended.
        if not self._db.read("SELECT 1 FROM sqlite_master WHERE name = 'host_sessions'"):
            tables = " ".join(_TABLE.format(table=name) for name in ("sources", "audits"))
            self._db.create(f"{_SCHEMA} {_RATE_LIMITER_SCHEMA} {tables} {_FORMER_TABLES}")
        with self._db.writing() as db:
            first = {"version": _SCHEMA_VERSION, "salt": secrets.token_hex(16)}
            db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", first.items())
        version = self._meta("version")
        if version != _SCHEMA_VERSION:
            raise LedgerError(f"ledger {self.path}: version {version}: use the release that wrote it")

    def _meta(self, name: str) -> str:
        return str(self._db.read("SELECT value FROM meta WHERE name = ?", (name,))[0][0])

    def _update(self, db: sqlite3.Connection, key: str, state: State, **values: object) -> None:
        """Set state and columns of a source; the lease ends unless `values` has a new one."""
        columns = {"state": state, "owner": None, "lease_until": None, **values}
        assignments = ", ".join(f"{name} = ?" for name in columns)
        db.execute(f"UPDATE {self._t} SET {assignments} WHERE key = ?", (*columns.values(), key))

    def _until_next(self, db: sqlite3.Connection, now: float) -> float | None:
        """Return the seconds until the next retry, at most `_SOON_S` while other workers are busy."""
        working, next_at = db.execute(
            "SELECT SUM(state = 'working'), MIN(CASE WHEN state = 'waiting' THEN next_retry_at END) "
            f"FROM {self._t} WHERE {self._selection}"
        ).fetchone()
        waits = [_SOON_S] if working else []
        if next_at is not None:
            waits.append(max(next_at - now, _SOON_S / 5))
        return min(waits) if waits else None


def download_folder(out: Path) -> Path:
    """Return the folder of ledger and downloads within an output folder."""
    return out / ".curation" / "acquisition"


def has_ledger(out: Path) -> bool:
    """Return whether an output folder has a ledger: something was downloaded, released or forgotten."""
    return (download_folder(out) / _LEDGER).is_file()


def open_ledger(
    out: Path,
    settings: DownloadSettings | None = None,
    *,
    shard: Shard | None = None,
    read_only: bool = False,
    table: Literal["sources", "audits"] = "sources",
) -> Ledger:
    """Open the ledger of an output folder, see `Ledger`; raises LedgerError."""
    return Ledger(download_folder(out) / _LEDGER, settings, shard=shard, read_only=read_only, table=table)


def process_owner() -> str:
    """Return a name of this process that is unique among all machines and times."""
    import psutil

    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def _is_dead(owner: str | None, lease_until: float | None, now: float) -> bool:
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


def _entry(row: sqlite3.Row) -> LedgerEntry:
    values = dict(row)
    values["state"] = State(values["state"])
    values["cause"] = Cause(values["cause"]) if values["cause"] else None
    values["kept"] = bool(values["kept"])
    return LedgerEntry(**values)


def nothing_barred(sha256: str | None) -> bool:
    """Return False: there are no tombstones."""
    return False


@dataclass(frozen=True)
class BarredContents:
    """Content hashes that must not enter the dataset, as salted digests; may be pickled."""

    salt: str
    digests: frozenset[str]

    def __call__(self, sha256: str | None) -> bool:
        """Return whether the content has a tombstone."""
        return bool(self.digests) and _digest(self.salt, f"sha256:{sha256}") in self.digests


def _digest(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt} {name}".encode()).hexdigest()
