"""One SQLite file, shared by threads and processes in short transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from talkingpose.io.errors import UserError

# Timeout for the transactions of other processes, which are all short.
_BUSY_S = 60.0


class Database:
    """An open database file; it is created if missing.

    Args:
        path: the file.
        shared: processes on other machines may use the file. The write-ahead log needs memory that all
            processes share; the rollback journal needs only the locks of the file system.

    Raises:
        OSError, sqlite3.Error: the file cannot be opened or written.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.is_file()
        self._path = path
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        if shared:
            self._db.execute("PRAGMA journal_mode=TRUNCATE")
        elif is_new:
            self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA wal_autocheckpoint=100")
        # Deleted content is overwritten: `forget` guarantees it.
        self._db.execute("PRAGMA secure_delete=ON")
        self._db.execute("PRAGMA temp_store=MEMORY")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def create(self, script: str) -> None:
        """Run statements that create tables in one transaction."""
        with self._lock:
            self._db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")

    def read(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query.

        Raises:
            UserError: the file is damaged.
        """
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise
                raise UserError(
                    f"{self._path}: damaged ({error}): restore it, or delete it to start over"
                ) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run a block in one transaction, or in the one that this thread has begun already."""
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
        """Remove all bytes of deleted rows from the file and its journal."""
        with self._lock:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def is_disk_full(error: sqlite3.OperationalError) -> bool:
    """Return whether a transaction failed, without a trace, because the disk is full."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
