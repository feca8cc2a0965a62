"""The machines of a run: which part of the sources each has, and which of them are still at it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from curation.download.database import Database
from talkingpose.io.errors import UserError

SCHEMA = """
CREATE TABLE IF NOT EXISTS machines (
    shard INTEGER PRIMARY KEY, machine TEXT NOT NULL, lease_until REAL NOT NULL, ended INTEGER NOT NULL
) WITHOUT ROWID;
"""


class MachineError(UserError):
    """A machine that cannot take part in a run as it was told to."""


@dataclass(frozen=True)
class Shard:
    """Part `number` of `of`, counted from 1. A source belongs to one of them by its key, which is a hash."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, key: str) -> bool:
        """Whether a source of this key belongs to the part."""
        return int(key, 16) % self.of == self.number - 1


def parse_shard(text: str) -> Shard:
    """Read `2/3`; raises MachineError."""
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise MachineError(f"--shard {text}: no part of a whole: give I/N, as 2/3 for the second of three")
    return Shard(int(found[1]), int(found[2]))


class Machines:
    """What the serving machine knows of the others; in its ledger's file.

    Args:
        machine, own: the serving machine and its part.
    """

    def __init__(
        self, database: Database, machine: str, own: Shard | None, clock: Callable[[], float]
    ) -> None:
        self._db, self._machine, self._own, self._clock = database, machine, own, clock

    def join(self, machine: str, shard: Shard, lease_s: float) -> None:
        """A machine begins; one that fell silent for `lease_s` before its end may be replaced.

        Raises:
            MachineError: the part is another's, or the parts do not fit together.
        """
        if self._own is None or machine == self._machine:
            raise MachineError("--gate: this folder serves itself: give the --out of the other machine")
        if shard.of != self._own.of:
            raise MachineError(f"--shard {shard}: the server has {self._own}: give parts of one whole")
        with self._db.writing() as db:
            row = db.execute("SELECT * FROM machines WHERE shard = ?", (shard.number,)).fetchone()
            taken = row is not None and (row["ended"] or row["lease_until"] >= self._clock())
            if shard == self._own or (taken and row["machine"] != machine):
                raise MachineError(f"--shard {shard}: another folder has it: give one that is free")
            db.execute(
                "INSERT OR REPLACE INTO machines VALUES (?, ?, ?, 0)",
                (shard.number, machine, self._clock() + lease_s),
            )

    def check(self, machine: str) -> None:
        """Raises MachineError where a machine has no part, or not any more."""
        if not self._db.read("SELECT 1 FROM machines WHERE machine = ?", (machine,)):
            raise MachineError("--gate: another machine has taken over this part after a long silence")

    def renew(self, machine: str, lease_s: float) -> None:
        """A sign of life."""
        with self._db.writing() as db:
            until = self._clock() + lease_s
            db.execute("UPDATE machines SET lease_until = ? WHERE machine = ?", (until, machine))

    def end(self, machine: str) -> None:
        """A machine has nothing left to fetch."""
        with self._db.writing() as db:
            db.execute("UPDATE machines SET ended = 1 WHERE machine = ?", (machine,))

    def missing(self) -> list[int]:
        """The parts that have not ended, or not begun."""
        own = self._own or Shard(1, 1)
        ended = {row["shard"] for row in self._db.read("SELECT shard FROM machines WHERE ended")}
        return [number for number in range(1, own.of + 1) if number != own.number and number not in ended]

    def begin_anew(self) -> None:
        """All have ended: the next time all are waited for again."""
        with self._db.writing() as db:
            db.execute("UPDATE machines SET ended = 0, lease_until = 0")
