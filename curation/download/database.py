"""One SQLite file for the threads of a process and the processes of a machine: short transactions, WAL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A wait for another process's transaction; they are all short.
_BUSY_S = 60.0


class Database:
    """One open file; made if need be.

    Raises:
        OSError, sqlite3.Error: it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA wal_autocheckpoint=100")
        # What is deleted is overwritten: `forget` promises it.
        self._db.execute("PRAGMA secure_delete=ON")

    def close(self) -> None:
        """Close the file; what was written stays."""
        with self._lock:
            self._db.close()

    def create(self, script: str) -> None:
        """Run statements that make tables, all or none."""
        with self._lock:
            self._db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")

    def read(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, whole or not at all; it waits for those of others, and joins one it stands in."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def compact(self) -> None:
        """Leave no byte of what was deleted, in the file or beside it."""
        with self._lock:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def is_full(error: sqlite3.OperationalError) -> bool:
    """Whether a file could not be written for want of room; nothing of the transaction was, then."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
