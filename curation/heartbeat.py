"""Heartbeats of worker processes: the source that each works on, visible to all who see the folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from talkingpose.io.atomic import write_text

FOLDER = "workers"
_EVERY_S = 15.0
# Heartbeats may be missed while a file system stalls.
_SILENT_S = 4 * _EVERY_S


@dataclass(frozen=True)
class Heartbeat:
    """State of a worker process.

    Attributes:
        host, pid: machine and process.
        source: name of the source it works on.
        for_s: seconds since it began with the source.
        silent_s: seconds since its last sign of life.
    """

    host: str
    pid: int
    source: str
    for_s: float
    silent_s: float

    @property
    def is_alive(self) -> bool:
        """Return whether the last sign of life is recent."""
        return self.silent_s <= _SILENT_S

    def document(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {**asdict(self), "is_alive": self.is_alive}

    def __str__(self) -> str:
        sign = "" if self.is_alive else f", no sign of life for {self.silent_s:.0f} s"
        return f"{self.host} {self.pid}: {self.source}, for {self.for_s:.0f} s{sign}"


@contextlib.contextmanager
def beating(state: Path, source: str) -> Iterator[None]:
    """Show that this process works on a source.

    Args:
        state: state folder of the output.
        source: name of the source.
    """
    path = state / FOLDER / f"{socket.gethostname()}-{os.getpid()}.json"
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_EVERY_S):
            with contextlib.suppress(OSError):
                os.utime(path)

    with contextlib.suppress(OSError):  # a full disk fails the job elsewhere, with its reason
        path.parent.mkdir(exist_ok=True)
        content = {"host": socket.gethostname(), "pid": os.getpid(), "source": source, "since": time.time()}
        write_text(path, json.dumps(content))
    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def heartbeats(state: Path, now: float | None = None) -> list[Heartbeat]:
    """Read the state of all workers of a folder, by host and process."""
    now = time.time() if now is None else now
    found = []
    for path in sorted((state / FOLDER).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            silent = max(now - path.stat().st_mtime, 0.0)
            since = max(now - float(content["since"]), 0.0)
            found.append(
                Heartbeat(
                    str(content["host"]), int(content["pid"]), str(content["source"]), since, round(silent, 1)
                )
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it ended meanwhile, or is just being written
    return found


def clear_heartbeats(state: Path) -> None:
    """Delete what processes that were killed left behind; the caller holds the folder alone."""
    shutil.rmtree(state / FOLDER, ignore_errors=True)
