"""Worker processes that may die: each job ends with its result or with why there is none."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

# One process per core: more threads in it would only wait for one another.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class JobFailure:
    """A job without a result: the worker raised, or died.

    `fatal`: the job took its process with it, by a crash or by using up its time, and would do so again.
    """

    message: str
    fatal: bool = False


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: int | None = None
    deadline: float = math.inf
    jobs_done: int = 0


def run_jobs(
    jobs: Sequence[Job],
    work: Callable[[Job], Result],
    *,
    workers: int,
    log: Path,
    limit_s: float = math.inf,
    jobs_per_process: int | None = None,
) -> Iterator[tuple[int, Result | JobFailure]]:
    """Do all jobs in up to `workers` processes.

    Yields the number of a job with its result, in the order in which they end. Leaving the iteration early
    kills the workers at once; so does the death of this process.

    Args:
        work: a function of a module, called in a worker with one job.
        log: takes what the workers print.
        limit_s: wall-clock time for one job; then its process is killed, and the job has failed.
        jobs_per_process: after so many a process is replaced, and what its libraries leak is given back.
    """
    waiting = list(range(len(jobs)))[::-1]
    pool = [_start(work, log) for _ in range(min(workers, len(jobs)))]
    try:
        for worker in pool:
            _hand_out(worker, waiting, jobs, limit_s)
        while busy := [worker for worker in pool if worker.job is not None]:
            for worker in _ready(busy):
                job = worker.job
                assert job is not None
                result = _result_of(worker, limit_s)
                worker.job = None
                worker.jobs_done += 1
                spent = jobs_per_process is not None and worker.jobs_done >= jobs_per_process
                if waiting and (spent or not worker.process.is_alive()):
                    _end(worker)
                    pool[pool.index(worker)] = worker = _start(work, log)
                _hand_out(worker, waiting, jobs, limit_s)
                yield job, result
    finally:
        for worker in pool:
            worker.process.kill()
        for worker in pool:
            _end(worker)


def _ready(busy: Sequence[_Worker]) -> list[_Worker]:
    """Wait for workers that have answered, died or run out of time."""
    first = min(worker.deadline for worker in busy)
    timeout = None if first == math.inf else max(first - time.monotonic(), 0)
    answered = connection.wait([worker.pipe for worker in busy], timeout)
    now = time.monotonic()
    return [worker for worker in busy if worker.pipe in answered or worker.deadline <= now]


def _result_of(worker: _Worker, limit_s: float) -> Any:
    if not worker.pipe.poll():
        worker.process.kill()
        worker.process.join()
        return too_long(limit_s)
    try:
        return worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        return _cause_of_death(worker.process)


def _end(worker: _Worker) -> None:
    worker.process.kill()
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


def _hand_out(worker: _Worker, waiting: list[int], jobs: Sequence[Any], limit_s: float) -> None:
    if waiting:
        worker.job = waiting.pop()
        worker.deadline = time.monotonic() + limit_s
        # A worker that died idle shows when its pipe is read.
        with contextlib.suppress(BrokenPipeError):
            worker.pipe.send(jobs[worker.job])


def _cause_of_death(process: BaseProcess) -> JobFailure:
    process.join()
    code = process.exitcode or 0
    if code == -signal.SIGKILL:
        return JobFailure(
            "the worker process was killed; this happens when memory runs out: use fewer --workers"
        )
    if code < 0:
        name = signal.Signals(-code).name
        return JobFailure(f"the worker process crashed ({name}): run it again, or convert the file", True)
    return JobFailure(f"the worker process ended with code {code}: run it again")


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
    # Before anything is imported that reads them.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    write_to(log)
    single_threaded()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(work, job))


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def attempt(work: Callable[[Job], Result], job: Job) -> Result | JobFailure:
    """The result of a job, or the error that it raised; its traceback is printed."""
    try:
        return work(job)
    except Exception as error:
        traceback.print_exc()
        return JobFailure(f"{type(error).__name__}: {' '.join(str(error).split())}")


def too_long(limit_s: float) -> JobFailure:
    """What is said of a job that used up its time."""
    return JobFailure(f"it took longer than {limit_s:g} s and was ended: raise workers.source_limit_s", True)


def write_to(log: Path) -> None:
    """Let everything that this process prints go to the end of a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)


def single_threaded() -> None:
    """Keep OpenCV in this process to one thread."""
    import cv2

    cv2.setNumThreads(1)
