"""The jobs of a run on the machines of a Ray cluster, under the same contract as the local pool's.

One actor is one process that does one job at a time. Everything travels as paths and small records: the
footage and the folder of the dataset have to be at the same place on every machine, and the project has to be
installed there as it is here.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.executors.local_pool import (
    THREAD_VARIABLES,
    Job,
    JobFailure,
    Result,
    attempt,
    single_threaded,
    too_long,
    write_to,
)
from talkingpose.io.errors import UserError

# A machine that is lost takes its jobs with it, a job that crashes takes its process: seen from here they are
# alike, so a job whose process died is tried once more.
_TRIES = 2
# For a machine to say whether anything listens.
_PATIENCE_S = 10.0


class RayExecutorError(UserError):
    """A cluster that does not answer, or machines that are not fit for the run."""


@contextmanager
def connect(address: str) -> Iterator[RayExecutor]:
    """Join a cluster, and leave it again.

    Args:
        address: `auto` for the cluster of this machine, HOST:PORT, `ray://HOST:PORT`, or `local` for one that
            begins here and ends with the run. Where a cluster asks for a token, Ray wants RAY_AUTH_MODE=token
            beside an address.

    Raises:
        ClusterError: Ray is not installed, or no cluster answers there.
    """
    # Nothing about a run is told to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise RayExecutorError("--ray: Ray is not installed: pip install 'talkingpose[cluster]'") from error
    _listens(address)
    own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, error) from error
    try:
        yield RayExecutor()
    finally:
        ray.shutdown()


def _listens(address: str) -> None:
    """Refuse HOST:PORT where nothing listens: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: BaseException) -> RayExecutorError:
    return RayExecutorError(
        f"--ray {address}: no cluster answers there ({_line(error)}): "
        "begin one with 'ray start --head', set RAY_AUTH_MODE=token where it wants a token, "
        "or leave the option out"
    )


class RayExecutor:
    """The cluster that this process has joined."""

    @property
    def num_cpus(self) -> int:
        """Cores of all its machines."""
        import ray

        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run_jobs(
        self,
        jobs: Sequence[Job],
        work: Callable[[Job], Result],
        *,
        workers: int,
        log: Path,
        limit_s: float = math.inf,
        jobs_per_process: int | None = None,
        alike: Callable[[], object] = lambda: None,
    ) -> Iterator[tuple[int, Result | JobFailure]]:
        """Do all jobs in up to `workers` processes of the cluster; as `local_pool.run_jobs`.

        Args:
            alike: called here and in every process before its first job; the answers have to be equal.

        Raises:
            ClusterError: a machine does not see the folder of `log`, has other versions than this one, or
                cannot begin a process.
        """
        log.touch()
        return _Run(jobs, work, log, limit_s, jobs_per_process or sys.maxsize, alike).results(workers)


class _Run:
    """Jobs that wait, actors that work, and what died how often."""

    def __init__(
        self,
        jobs: Sequence[Any],
        work: Callable[[Any], Any],
        log: Path,
        limit_s: float,
        jobs_per_process: int,
        alike: Callable[[], object],
    ) -> None:
        self._jobs, self._work, self._log, self._alike = jobs, work, log, alike
        self._limit_s, self._jobs_per_process = limit_s, jobs_per_process
        self._waiting = list(range(len(jobs)))[::-1]
        self._died = Counter[int]()
        self._pool: list[_Worker] = []

    def results(self, workers: int) -> Iterator[tuple[int, Any]]:
        expected = self._alike()
        try:
            for _ in range(min(workers, len(self._jobs))):
                self._pool.append(self._start())
            # Processes that have not begun when nothing is left to do are not waited for.
            while self._waiting or any(worker.job is not None for worker in self._busy):
                for worker in _ready(self._busy):
                    job, result = worker.job, None
                    if job is None:
                        _check(worker, expected, self._log)
                    else:
                        result = self._result_of(worker, job)
                    self._go_on(worker)
                    if job is not None and result is not None:
                        yield job, result
        finally:
            for worker in self._pool:
                worker.end()

    @property
    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._pool if worker.answer is not None]

    def _start(self) -> _Worker:
        import ray

        threads = {"env_vars": dict.fromkeys(THREAD_VARIABLES, "1")}
        actor = ray.remote(_Served).options(num_cpus=1, max_restarts=0, runtime_env=threads).remote()
        return _Worker(actor, actor.start.remote(self._log, self._alike))

    def _result_of(self, worker: _Worker, job: int) -> Any:
        """What became of a job; None where it is to be tried once more."""
        import ray

        worker.jobs_done += 1
        if worker.overdue:
            worker.gone = True
            return too_long(self._limit_s)
        try:
            return ray.get(worker.answer)
        except ray.exceptions.OutOfMemoryError:
            worker.gone = True
            return JobFailure("the worker process was killed, as memory ran out: use fewer --workers")
        except ray.exceptions.RayActorError as error:
            worker.gone = True
            self._died[job] += 1
            if self._died[job] < _TRIES:
                self._waiting.append(job)
                return None
            reason = f"the worker process died on it twice ({_line(error)})"
            return JobFailure(f"{reason}: run it again, or convert the file", fatal=True)
        except ray.exceptions.RayError as error:
            return JobFailure(_line(error))

    def _go_on(self, worker: _Worker) -> None:
        """Give a worker its next job, or another process its place; let it go where nothing waits."""
        if not self._waiting:
            worker.end()
        elif worker.gone or worker.jobs_done >= self._jobs_per_process:
            worker.end()
            self._pool[self._pool.index(worker)] = self._start()
        else:
            worker.job = self._waiting.pop()
            worker.deadline = time.monotonic() + self._limit_s
            worker.answer = worker.actor.do.remote(self._work, self._jobs[worker.job])


class _Served:
    """What runs on a machine of the cluster."""

    def start(self, log: Path, alike: Callable[[], object]) -> tuple[str, bool, object]:
        """Name of the machine, whether it sees the log, and what it answers to `alike`."""
        sees = log.exists()
        if sees:
            write_to(log)
        single_threaded()
        return socket.gethostname(), sees, alike()

    def do(self, work: Callable[[Any], Any], job: Any) -> Any:
        """The result of a job, or why there is none."""
        return attempt(work, job)


@dataclass
class _Worker:
    """An actor, what it was asked last, and the job of that; None while it begins.

    `gone`: its process has ended, or has to.
    """

    actor: Any
    answer: Any
    job: int | None = None
    deadline: float = math.inf
    jobs_done: int = 0
    overdue: bool = False
    gone: bool = False

    def end(self) -> None:
        """Kill the process, whatever it is doing."""
        import ray

        if self.answer is not None:
            self.answer = None
            with contextlib.suppress(Exception):  # it may be gone, and the cluster too
                ray.kill(self.actor)


def _ready(busy: Sequence[_Worker]) -> list[_Worker]:
    """Wait for workers that have answered, died or run out of time."""
    import ray

    answers = [worker.answer for worker in busy]
    left = min(worker.deadline for worker in busy) - time.monotonic()
    ray.wait(answers, timeout=None if left == math.inf else max(left, 0.0))
    # Now all that are there: an answer that had to wait for its reader is not late.
    answered, _ = ray.wait(answers, num_returns=len(answers), timeout=0)
    now = time.monotonic()
    for worker in busy:
        worker.overdue = worker.answer not in answered and worker.deadline <= now
    return [worker for worker in busy if worker.answer in answered or worker.overdue]


def _check(worker: _Worker, expected: object, log: Path) -> None:
    """Refuse a machine that cannot do the same as this one."""
    import ray

    try:
        machine, sees, answer = ray.get(worker.answer)
    except ray.exceptions.RayError as error:
        # What was raised there, if anything was; else the end of Ray's report names the cause.
        reason = _line(getattr(error, "cause", None) or str(error).rstrip().rpartition("\n")[2])
        raise RayExecutorError(
            f"--ray: a process of the cluster did not begin ({reason}): "
            "install the project and its weights on every machine"
        ) from error
    if not sees:
        raise RayExecutorError(
            f"--ray: {machine} does not see {log.parent}: "
            "put the dataset where all machines see it at the same place"
        )
    if answer != expected:
        raise RayExecutorError(
            f"--ray: {machine} has other versions than this machine ({_difference(expected, answer)}): "
            "install the same on both"
        )


def _difference(expected: object, answer: object) -> str:
    if not isinstance(expected, dict) or not isinstance(answer, dict):
        return f"{answer}, here {expected}"
    keys = [key for key in {**expected, **answer} if expected.get(key) != answer.get(key)]
    return ", ".join(f"{key} {answer.get(key)}, here {expected.get(key)}" for key in keys)


def _line(error: BaseException | str) -> str:
    return " ".join(str(error).split())[:200]
