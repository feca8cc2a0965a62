"""Worker processes that may die: each job ends with its result or with why there is none."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """A job without a result: the worker raised, or died."""

    message: str


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: int | None = None


def run_jobs(
    jobs: Sequence[Job], work: Callable[[Job], Result], *, workers: int, log: Path
) -> Iterator[tuple[int, Result | Failure]]:
    """Do all jobs in up to `workers` processes.

    Yields the number of a job with its result, in the order in which they end. Leaving the iteration early
    kills the workers at once; so does the death of this process.

    Args:
        work: a function of a module, called in a worker with one job.
        log: takes what the workers print.
    """
    waiting = list(range(len(jobs)))[::-1]
    pool = [_start(work, log) for _ in range(min(workers, len(jobs)))]
    try:
        for worker in pool:
            _hand_out(worker, waiting, jobs)
        while busy := [worker for worker in pool if worker.job is not None]:
            for pipe in connection.wait([worker.pipe for worker in busy]):
                worker = next(worker for worker in busy if worker.pipe is pipe)
                job = worker.job
                assert job is not None
                try:
                    result = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    result = Failure(_cause_of_death(worker.process))
                    worker.pipe.close()
                    pool[pool.index(worker)] = worker = _start(work, log)
                worker.job = None
                _hand_out(worker, waiting, jobs)
                yield job, result
    finally:
        for worker in pool:
            worker.process.kill()
        for worker in pool:
            worker.process.join()
            worker.pipe.close()


def _start(work: Callable[[Any], Any], log: Path) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work, log), daemon=True)
    with _ctrl_c_ignored():
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _hand_out(worker: _Worker, waiting: list[int], jobs: Sequence[Any]) -> None:
    if waiting:
        worker.job = waiting.pop()
        # A worker that died idle shows when its pipe is read.
        with contextlib.suppress(BrokenPipeError):
            worker.pipe.send(jobs[worker.job])


def _cause_of_death(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    if code == -signal.SIGKILL:
        return "the worker process was killed; this happens when memory runs out: use fewer --workers"
    if code < 0:
        return f"the worker process crashed ({signal.Signals(-code).name}): run it again, or convert the file"
    return f"the worker process ended with code {code}: run it again"


@contextlib.contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Let a child start with Ctrl-C ignored: the parent decides, and no child prints a traceback."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(pipe: Connection, work: Callable[[Any], Any], log: Path) -> None:
    """A worker's life: jobs in, results out, until the pipe closes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    _single_threaded()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            result = work(job)
        except Exception as error:
            traceback.print_exc()
            result = Failure(f"{type(error).__name__}: {' '.join(str(error).split())}")
        pipe.send(result)


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _single_threaded() -> None:
    import cv2

    cv2.setNumThreads(1)
