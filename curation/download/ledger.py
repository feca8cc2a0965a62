"""The ledger: every source of a folder with its state; SQLite, one writer."""

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
from typing import Literal
from urllib.parse import urlsplit

from curation.download.database import Database
from curation.download.failures import POLICIES, Cause, DownloadFailure
from curation.download.ledger_rate_limiter import SCHEMA as _GATE_SCHEMA
from curation.download.ledger_rate_limiter import LedgerRateLimiter
from curation.download.machines import SCHEMA as _MACHINES_SCHEMA
from curation.download.machines import Machines, Shard, parse_shard
from curation.download.rate_limiter import BreakerState, End, RateLimiter
from curation.download.settings import BreakerSettings, PolitenessSettings
from curation.download.source_list import RemoteSource
from talkingpose.io.errors import UserError

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


# When a worker asks again that others stand in the way of.
_SOON_S = 0.5


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
class LedgerEntry:
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

    @property
    def name(self) -> str:
        """What people know it by: the id at its site, or its address."""
        return self.url if self.source == "url" else f"{self.source}:{self.source_id}"


@dataclass(frozen=True)
class FetchedSource:
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
class Lease:
    """A worker's orders: work on `entry`, or come back in `wait_s`; with neither, nothing is left."""

    entry: LedgerEntry | None = None
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
        politeness: PolitenessSettings | None = None,
        breaker: BreakerSettings | None = None,
        *,
        wait_scale: float = 1.0,
        read_only: bool = False,
        table: Literal["sources", "audits"] = "sources",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._t = table
        self._politeness = politeness or PolitenessSettings()
        self._breaker = breaker or BreakerSettings()
        self._scale = wait_scale
        self.clock = clock
        if read_only and not path.is_file():
            raise LedgerError(f"ledger {path}: there is none: give the --out of a run that fetched sources")
        try:
            self._db = Database(path)
            self._create()
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise LedgerError(f"ledger {path}: cannot be opened ({reason}): check the folder") from error
        self.machine = self._meta("machine")
        self.gate: RateLimiter = self.gate_for(self.machine)

    def gate_for(self, machine: str) -> LedgerRateLimiter:
        """The gate of this file, as a machine of the run passes it; for itself it is `gate`."""
        return LedgerRateLimiter(self._db, self._politeness, self._breaker, machine, self.clock)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._db.close()

    # Sources

    def add(self, wanted: Iterable[RemoteSource]) -> tuple[int, int, int]:
        """Enter sources; returns how many are new, how many were known, how many are never to be fetched."""
        new = known = forgotten = 0
        with self._db.writing() as db:
            tombs = {row[0] for row in db.execute("SELECT digest FROM tombstones")}
            keys = {row[0] for row in db.execute(f"SELECT key FROM {self._t}")}
            salt = self._meta("salt")
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

    def entry(self, key: str) -> LedgerEntry | None:
        """One source."""
        rows = self._db.read(f"SELECT * FROM {self._t} WHERE key = ?", (key,))
        return _entry(rows[0]) if rows else None

    def entries(self, state: State | None = None) -> list[LedgerEntry]:
        """All sources, or those in one state, in the order they were entered."""
        if state is None:
            return [_entry(row) for row in self._db.read(f"SELECT * FROM {self._t} ORDER BY place")]
        return [
            _entry(row)
            for row in self._db.read(f"SELECT * FROM {self._t} WHERE state = ? ORDER BY place", (state,))
        ]

    def spans(self, key: str) -> list[tuple[float, float]]:
        """The wanted spans of a source in seconds; none means all of it."""
        rows = self._db.read("SELECT start_s, end_s FROM spans WHERE key = ? ORDER BY start_s, end_s", (key,))
        return [(row[0], row[1]) for row in rows]

    def find(self, name: str) -> list[LedgerEntry]:
        """Sources by id, address, key or content hash, fetched or only asked for."""
        rows = [
            row
            for table in ("audits", "sources")
            for row in self._db.read(
                f"SELECT * FROM {table} WHERE source_id = ?1 OR url = ?1 OR key = ?1 OR sha256 = ?1", (name,)
            )
        ]
        return list({entry.key: entry for entry in map(_entry, rows)}.values())

    def keys(self) -> set[str]:
        """The keys of all sources, fetched or only asked for."""
        return {row[0] for row in self._db.read("SELECT key FROM sources UNION SELECT key FROM audits")}

    def kept(self) -> set[str]:
        """The keys of those whose files lie on the disk."""
        return {row[0] for row in self._db.read(f"SELECT key FROM {self._t} WHERE state = 'done' AND kept")}

    def counts(self) -> list[tuple[State, Cause | None, int, int]]:
        """(state, cause, sources, bytes on the disk) of every pair there is."""
        rows = self._db.read(
            f"SELECT state, cause, COUNT(*), SUM(CASE WHEN kept THEN num_bytes ELSE 0 END) FROM {self._t} "
            "GROUP BY state, cause ORDER BY state, COUNT(*) DESC"
        )
        return [(State(r[0]), Cause(r[1]) if r[1] else None, r[2], r[3] or 0) for r in rows]

    def fetched_since(self, when: float) -> tuple[int, int, float | None]:
        """(sources, bytes, time of the first) of those fetched since then."""
        row = self._db.read(
            f"SELECT COUNT(*), SUM(num_bytes), MIN(fetched_at) FROM {self._t} "
            "WHERE state = 'done' AND fetched_at >= ?",
            (when,),
        )[0]
        return row[0], row[1] or 0, row[2]

    def num_bytes(self) -> int:
        """Bytes of the finished files that lie on the disk."""
        return int(self._db.read(f"SELECT COALESCE(SUM(num_bytes), 0) FROM {self._t} WHERE kept")[0][0])

    # A part of a run on several machines

    def shard(self) -> Shard | None:
        """Which part of a run this folder is; None where it is all of it."""
        found = self._db.read("SELECT value FROM meta WHERE name = 'shard'")
        return parse_shard(found[0][0]) if found else None

    def be_shard(self, shard: Shard) -> None:
        """Make the folder a part of a run, for good; raises as `check_shard`."""
        self.check_shard(shard)
        with self._db.writing() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('shard', ?)", (str(shard),))

    def check_shard(self, shard: Shard) -> None:
        """Raises LedgerError where the folder cannot be that part of a run."""
        if self.shard() == shard:
            return
        if self.shard() is not None:
            raise LedgerError(f"--shard: this folder is {self.shard()} of a run: give that, or a new folder")
        if any(not shard.holds(entry.key) for entry in self.entries()):
            raise LedgerError(f"--shard: the folder has sources outside of {shard}: give a new one")

    def machines(self) -> Machines:
        """The machines that this folder serves."""
        return Machines(self._db, self.machine, self.shard(), self.clock)

    # A worker's turn

    def turn(self, owner: str, lease_s: float) -> Lease:
        """Take the next source whose time has come, unless the gate says otherwise.

        Raises:
            GateLost: see `RateLimiter`, as all methods of a worker's turn; nothing is written then.
        """
        with self._db.writing() as db:
            now = self.clock()
            standing = self.gate.look()
            breaker = standing.breaker
            if breaker.state == "probing":
                return Lease(wait_s=1.0)
            if breaker.state == "open" and now < breaker.until:
                return Lease(wait_s=breaker.until - now)
            row = db.execute(
                f"SELECT * FROM {self._t} WHERE state = 'waiting' AND next_retry_at <= ? "
                "AND host NOT IN (SELECT value FROM json_each(?)) "
                "ORDER BY attempts, next_retry_at, place LIMIT 1",
                (now, json.dumps(sorted(standing.full_hosts))),
            ).fetchone()
            if row is None:
                return Lease(wait_s=_until_next(db, self._t, now))
            if not self.gate.enter(row["key"], row["host"], lease_s):
                return Lease(wait_s=_SOON_S)
            db.execute(
                f"UPDATE {self._t} SET state = 'working', owner = ?, lease_until = ? WHERE key = ?",
                (owner, now + lease_s, row["key"]),
            )
            return Lease(entry=_entry(row))

    def renew(self, owners: str, lease_s: float) -> None:
        """Sign on for all sources of the workers whose names begin with `owners`."""
        with self._db.writing() as db:
            rows = db.execute(
                f"UPDATE {self._t} SET lease_until = ? WHERE state = 'working' AND substr(owner, 1, ?) = ? "
                "RETURNING key",
                (self.clock() + lease_s, len(owners), owners),
            ).fetchall()
            self.gate.renew([row["key"] for row in rows], lease_s)

    def reclaim(self) -> int:
        """Give back what workers held that are gone; returns how many sources."""
        with self._db.writing() as db:
            now = self.clock()
            rows = db.execute(
                f"SELECT key, owner, lease_until FROM {self._t} WHERE state = 'working'"
            ).fetchall()
            lost = [row["key"] for row in rows if _is_gone(row["owner"], row["lease_until"], now)]
            db.executemany(
                f"UPDATE {self._t} SET state = 'waiting', owner = NULL, lease_until = NULL WHERE key = ?",
                [(key,) for key in lost],
            )
            for key in lost:
                self.gate.leave(key, End.GIVEN_BACK)
        return len(lost)

    def release(self, key: str, wait_s: float = 0.0, failure: DownloadFailure | None = None) -> None:
        """Give a source back; the attempt does not count."""
        with self._db.writing() as db:
            db.execute(
                f"UPDATE {self._t} SET state = 'waiting', owner = NULL, lease_until = NULL, "
                "next_retry_at = ?, cause = COALESCE(?, cause), message = COALESCE(?, message) WHERE key = ?",
                (
                    self.clock() + wait_s,
                    failure.cause if failure else None,
                    failure.message if failure else None,
                    key,
                ),
            )
            self.gate.leave(key, End.GIVEN_BACK)

    def finish(self, key: str, fetched: FetchedSource) -> None:
        """The source is there; nothing happens where it was forgotten meanwhile."""
        with self._db.writing() as db:
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
            self.gate.leave(key, End.FETCHED)

    def reject(self, key: str, reason: str, license: str | None, info_sha256: str) -> None:
        """The source exists and is not wanted."""
        with self._db.writing() as db:
            db.execute(
                f"UPDATE {self._t} SET state = 'rejected', cause = NULL, message = ?, "
                "attempts = attempts + 1, "
                "owner = NULL, lease_until = NULL, license = ?, info_sha256 = ? WHERE key = ?",
                (reason, license, info_sha256, key),
            )
            self.gate.leave(key, End.REJECTED)

    def fail(self, key: str, failure: DownloadFailure) -> LedgerEntry | None:
        """An attempt gave nothing: the table of causes says when the next one is, or that there is none.

        Returns:
            The source as it stands now, None where it was forgotten meanwhile.
        """
        policy = POLICIES[failure.cause]
        with self._db.writing() as db:
            now = self.clock()
            row = db.execute(f"SELECT attempts FROM {self._t} WHERE key = ?", (key,)).fetchone()
            attempts = (row[0] if row else 0) + 1
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
            self.gate.leave(key, failure)
            row = db.execute(f"SELECT * FROM {self._t} WHERE key = ?", (key,)).fetchone()
        return _entry(row) if row else None

    def revive(self, causes: Sequence[Cause]) -> int:
        """Let dead sources of these causes, or of all where none is named, start anew; returns how many."""
        marks = ", ".join("?" * len(causes))
        chosen = f" AND cause IN ({marks})" if causes else ""
        with self._db.writing() as db:
            cursor = db.execute(
                f"UPDATE {self._t} SET state = 'waiting', attempts = 0, next_retry_at = 0 "
                "WHERE state = 'dead'" + chosen,
                tuple(causes),
            )
        return cursor.rowcount

    def fetch_again(self, keys: Sequence[str]) -> None:
        """Let finished sources whose files were deleted be fetched once more."""
        with self._db.writing() as db:
            db.executemany(
                f"UPDATE {self._t} SET state = 'waiting', attempts = 0 "
                "WHERE key = ? AND state = 'done' AND kept = 0",
                [(key,) for key in keys],
            )

    def begin_anew(self) -> None:
        """Forget all answers, so that everything that is wanted is asked for again."""
        with self._db.writing() as db:
            db.execute(f"DELETE FROM {self._t}")

    def dropped(self, key: str) -> None:
        """The file of a finished source was deleted; the source stays done."""
        with self._db.writing() as db:
            db.execute(f"UPDATE {self._t} SET kept = 0 WHERE key = ?", (key,))

    def breaker(self) -> BreakerState:
        """The breaker of the run as it stands; raises GateLost."""
        return self.gate.look().breaker

    def try_network(self) -> None:
        """Somebody has begun anew, with a mended network perhaps: it is tried without waiting."""
        with self._db.writing() as db:
            db.execute(
                "UPDATE breaker SET until = ? WHERE state = 'open' AND cause = ?",
                (self.clock(), Cause.NETWORK),
            )

    # Forgetting

    def bar(self, marks: Iterable[str]) -> None:
        """Leave tombstones for `source:id` and `sha256:hex`; they tell nobody what lies below."""
        with self._db.writing() as db:
            now, salt = self.clock(), self._meta("salt")
            rows = [(_digest(salt, mark), now) for mark in sorted(marks)]
            db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", rows)

    def delete(self, entries: Sequence[LedgerEntry]) -> None:
        """Delete sources; no byte of them is left in the file."""
        with self._db.writing() as db:
            for entry in entries:
                for table in ("sources", "audits", "spans"):
                    db.execute(f"DELETE FROM {table} WHERE key = ?", (entry.key,))
                self.gate.leave(entry.key, End.GIVEN_BACK)
        self._db.compact()

    def is_forgotten(self, name: str) -> bool:
        """Whether a tombstone stands for `source:id` or `sha256:hex`."""
        digest = _digest(self._meta("salt"), name)
        return bool(self._db.read("SELECT 1 FROM tombstones WHERE digest = ?", (digest,)))

    def num_tombstones(self) -> int:
        """How many there are."""
        return int(self._db.read("SELECT COUNT(*) FROM tombstones")[0][0])

    def remember_release(self, folder: str) -> None:
        """A release was written there; `forget` goes through it too."""
        with self._db.writing() as db:
            db.execute("INSERT OR IGNORE INTO releases VALUES (?)", (folder,))

    def releases(self) -> list[str]:
        """Folders of releases, as they were remembered."""
        return [row[0] for row in self._db.read("SELECT folder FROM releases ORDER BY folder")]

    def note(self, name: str, value: str | None) -> None:
        """Keep a word for whoever asks for the status, or take it back."""
        with self._db.writing() as db:
            if value is None:
                db.execute("DELETE FROM meta WHERE name = ?", (f"note:{name}",))
            else:
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note:{name}", value))

    def notes(self) -> Mapping[str, str]:
        """Words that were kept, by name."""
        rows = self._db.read("SELECT name, value FROM meta WHERE name LIKE 'note:%' ORDER BY name")
        return {row[0].removeprefix("note:"): row[1] for row in rows}

    # SQLite

    def _create(self) -> None:
        # The youngest of the tables: older ledgers get what they lack.
        if not self._db.read("SELECT 1 FROM sqlite_master WHERE name = 'machines'"):
            tables = " ".join(_TABLE.format(table=name) for name in ("sources", "audits"))
            self._db.create(f"{_SCHEMA} {_GATE_SCHEMA} {_MACHINES_SCHEMA} {tables}")
        with self._db.writing() as db:
            first = {
                "version": _SCHEMA_VERSION,
                "salt": secrets.token_hex(16),
                "machine": secrets.token_hex(8),
            }
            db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", first.items())
        version = self._meta("version")
        if version != _SCHEMA_VERSION:
            raise LedgerError(f"ledger {self.path}: its version is {version}: use the release that wrote it")

    def _meta(self, name: str) -> str:
        return str(self._db.read("SELECT value FROM meta WHERE name = ?", (name,))[0][0])


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
    waits = [_SOON_S] if working else []
    if next_at is not None:
        waits.append(max(next_at - now, _SOON_S / 5))
    return min(waits) if waits else None


def _entry(row: sqlite3.Row) -> LedgerEntry:
    values = dict(row)
    values["state"] = State(values["state"])
    values["cause"] = Cause(values["cause"]) if values["cause"] else None
    values["kept"] = bool(values["kept"])
    return LedgerEntry(**values)


def _digest(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt} {name}".encode()).hexdigest()
