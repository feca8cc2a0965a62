"""Base of executors: jobs run in worker processes, and every job ends with a result or a failure."""

from __future__ import annotations

import math
import os
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

# A worker uses one core: more threads would wait for one another.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# Workers that may be lost with a job before the job counts as failed.
_TRIES = 2

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class JobFailure:
    """Failure of a job: its worker raised an exception or died.

    Attributes:
        message: Cause and remedy in one line.
        fatal: The job ended its process, by a crash or by exceeding its time, and would do so again.
    """

    message: str
    fatal: bool = False


@dataclass(frozen=True)
class Limits:
    """Resources of a run.

    Attributes:
        workers: Largest number of worker processes.
        log: File that receives the output of the workers.
        seconds_per_job: Wall-clock limit of one job; then its process is killed.
        jobs_per_process: A process is replaced after this many jobs, which frees what its libraries leak.
    """

    workers: int
    log: Path
    seconds_per_job: float = math.inf
    jobs_per_process: int = sys.maxsize


class WorkerDiedError(Exception):
    """A worker process ended during a job.

    Attributes:
        fatal: As in `JobFailure`.
        retry: The job may not be the cause: it gets another try.
    """

    def __init__(self, message: str, *, fatal: bool = False, retry: bool = False) -> None:
        super().__init__(message)
        self.fatal, self.retry = fatal, retry


class Worker(ABC):
    """Process that runs one job at a time.

    Attributes:
        job: Number of its job; None while it starts.
        deadline: Time (`time.monotonic`) at which it is killed.
        jobs_done: Number of finished jobs.
        handle: Object that `Executor.wait` waits for: its start, or its job.
    """

    job: int | None = None
    deadline = math.inf
    jobs_done = 0
    handle: Any

    @abstractmethod
    def check_started(self) -> None:
        """Verify a process that has just started."""

    @abstractmethod
    def submit(self, job: Any) -> None:
        """Start a job."""

    @abstractmethod
    def result(self) -> Any:
        """Result of the finished job, or a `JobFailure`.

        Raises:
            WorkerDiedError: The process ended.
        """

    @abstractmethod
    def kill(self) -> None:
        """End the process at once."""


class Executor(ABC):
    """Runs jobs in worker processes, on this machine or on several."""

    @property
    @abstractmethod
    def num_cpus(self) -> int:
        """Number of cores that workers may use."""

    @abstractmethod
    def start(self, function: Callable[[Any], Any], limits: Limits, versions: Callable[[], object]) -> Worker:
        """Start a worker."""

    @abstractmethod
    def wait(self, handles: Sequence[Any], timeout: float | None) -> Collection[Any]:
        """Wait up to `timeout` seconds (None: no limit) for workers that have started, finished or died.

        Returns:
            Handles of all workers of which that holds now.
        """

    def run(
        self,
        jobs: Sequence[JobT],
        function: Callable[[JobT], ResultT],
        limits: Limits,
        *,
        versions: Callable[[], object] = dict,
    ) -> Iterator[tuple[int, ResultT | JobFailure]]:
        """Run all jobs and yield (job number, result) in the order in which they end.

        Closing the iterator kills the workers, and so does the death of this process.

        Args:
            jobs: Picklable arguments of `function`.
            function: Function of a module, called in a worker with one job.
            limits: Resources of the run.
            versions: Called here and on other machines; the results must be equal.
        """
        limits.log.touch()
        return _Run(self, jobs, lambda: self.start(function, limits, versions), limits).results()


class _Run:
    """State of one run: waiting jobs, workers, and lost workers per job."""

    def __init__(
        self, executor: Executor, jobs: Sequence[Any], start: Callable[[], Worker], limits: Limits
    ) -> None:
        self._executor, self._jobs, self._start, self._limits = executor, jobs, start, limits
        self._waiting = list(range(len(jobs)))[::-1]
        self._tries = Counter[int]()
        self._pool: list[Worker] = []

    def results(self) -> Iterator[tuple[int, Any]]:
        try:
            for _ in range(min(self._limits.workers, len(self._jobs))):
                self._pool.append(self._start())
            # Workers that are still starting when no job is left are not waited for.
            while self._waiting or any(worker.job is not None for worker in self._pool):
                for worker, overdue in self._finished():
                    if worker.job is None:
                        worker.check_started()
                        self._advance(worker)
                        continue
                    number, died, retry = worker.job, overdue, False
                    try:
                        result = self._too_long() if overdue else worker.result()
                    except WorkerDiedError as error:
                        died, result = True, JobFailure(str(error), error.fatal)
                        retry = error.retry and self._tries[number] < _TRIES
                    self._waiting += [number] if retry else []
                    worker.jobs_done += 1
                    self._advance(worker, replace=died or worker.jobs_done >= self._limits.jobs_per_process)
                    if not retry:
                        yield number, result
        finally:
            for worker in self._pool:
                worker.kill()

    def _advance(self, worker: Worker, *, replace: bool = False) -> None:
        """Give a worker its next job, or end it: another one takes its place if jobs are waiting."""
        worker.job, worker.deadline = None, math.inf
        if self._waiting and not replace:
            worker.job = self._waiting.pop()
            worker.deadline = time.monotonic() + self._limits.seconds_per_job
            self._tries[worker.job] += 1
            worker.submit(self._jobs[worker.job])
            return
        worker.kill()
        self._pool.remove(worker)
        if self._waiting:
            self._pool.append(self._start())

    def _finished(self) -> list[tuple[Worker, bool]]:
        """Workers that have started, finished or died (False), and overdue ones (True)."""
        left = min(worker.deadline for worker in self._pool) - time.monotonic()
        handles = [worker.handle for worker in self._pool]
        done = self._executor.wait(handles, None if left == math.inf else max(left, 0.0))
        now = time.monotonic()
        return [
            (worker, worker.handle not in done)
            for worker in self._pool
            if worker.handle in done or worker.deadline <= now
        ]

    def _too_long(self) -> JobFailure:
        limit = self._limits.seconds_per_job
        return JobFailure(
            f"it took longer than {limit:g} s and was ended: raise workers.source_limit_s", True
        )


def attempt(function: Callable[[JobT], ResultT], job: JobT) -> ResultT | JobFailure:
    """Run a job in a worker; an exception becomes a failure and its traceback is printed."""
    try:
        return function(job)
    except Exception as error:
        traceback.print_exc()
        return JobFailure(f"{type(error).__name__}: {' '.join(str(error).split())}")


def redirect_output(log: Path) -> None:
    """Append the output of this process to a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)


def single_threaded() -> None:
    """Limit OpenCV in this process to one thread."""
    import cv2

    cv2.setNumThreads(1)
