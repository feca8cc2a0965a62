"""Executor of this machine: a pool of processes that may crash without harm to the run."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from curation.executors.base import (
    THREAD_VARIABLES,
    Executor,
    Limits,
    Worker,
    WorkerDiedError,
    attempt,
    redirect_output,
    single_threaded,
)


class LocalWorker(Worker):
    """Spawned process; jobs and results travel through a pipe."""

    def __init__(self, function: Callable[[Any], Any], log: Path) -> None:
        context = get_context("spawn")
        self.handle, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(theirs, function, log), daemon=True)
        with _ctrl_c_ignored():
            self._process.start()
        theirs.close()

    def check_started(self) -> None:
        """Take the message of a process that is ready. If it died, its first job tells."""
        with contextlib.suppress(EOFError, ConnectionResetError):
            self.handle.recv()

    def submit(self, job: Any) -> None:
        """Start a job."""
        with contextlib.suppress(BrokenPipeError):
            self.handle.send(job)

    def result(self) -> Any:
        """Result of the finished job, or a `JobFailure`."""
        try:
            return self.handle.recv()
        except (EOFError, ConnectionResetError):
            raise self._cause_of_death() from None

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.join()
        self.handle.close()

    def _cause_of_death(self) -> WorkerDiedError:
        self._process.join()
        code = self._process.exitcode or 0
        if code >= 0:
            return WorkerDiedError(f"the worker process ended with code {code}: run it again")
        name = signal.Signals(-code).name
        if name == "SIGKILL":
            return WorkerDiedError(
                "the worker process was killed, probably for lack of memory: use fewer --workers"
            )
        return WorkerDiedError(
            f"the worker process crashed ({name}): run it again, or convert the file", fatal=True
        )


class LocalExecutor(Executor):
    """Runs jobs in processes of this machine."""

    @property
    def num_cpus(self) -> int:
        """Number of cores that this process may use."""
        process = psutil.Process()
        return len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count() or 1

    def start(self, function: Callable[[Any], Any], limits: Limits, versions: Callable[[], object]) -> Worker:
        """Start a process."""
        return LocalWorker(function, limits.log)

    def wait(self, handles: Sequence[Any], timeout: float | None) -> Collection[Any]:
        """Pipes that can be read."""
        return connection.wait(handles, timeout)


@contextlib.contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Start a child with Ctrl-C ignored: the parent ends it, and it prints no traceback."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(pipe: Connection, function: Callable[[Any], Any], log: Path) -> None:
    """Main loop of a worker process: jobs in, results out, until the pipe closes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # Before any import that reads them.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    redirect_output(log)
    single_threaded()
    pipe.send(None)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(function, job))


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
