"""Executor of a Ray cluster: the same jobs on several machines.

One actor is one process that runs one job at a time. Only paths and small records travel: the footage and the
dataset folder must have the same path on every machine, and the project must be installed on each.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curation.executors.base import (
    THREAD_VARIABLES,
    Executor,
    JobFailure,
    Limits,
    Worker,
    WorkerDiedError,
    attempt,
    redirect_output,
    single_threaded,
)
from talkingpose.io.errors import UserError

# Seconds for a machine to accept a connection.
_CONNECT_S = 10.0


class RayExecutorError(UserError):
    """A cluster that does not answer, or a machine that cannot take part in the run."""


@contextmanager
def connect(address: str) -> Iterator[RayExecutor]:
    """Join a cluster, and leave it at the end.

    Args:
        address: `auto` for the cluster of this machine, HOST:PORT, `ray://HOST:PORT`, or `local` for one that
            starts here and ends with the run. For a cluster with tokens, Ray needs RAY_AUTH_MODE=token.

    Raises:
        RayExecutorError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise RayExecutorError("--ray: Ray is not installed: pip install 'talkingpose[cluster]'") from error
    _check_port(address)
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, error) from error
    try:
        yield RayExecutor()
    finally:
        ray.shutdown()


def _check_port(address: str) -> None:
    """Refuse HOST:PORT if nothing listens there; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: BaseException) -> RayExecutorError:
    return RayExecutorError(
        f"--ray {address}: no cluster answers there ({_line(error)}): start one with 'ray start --head', "
        "set RAY_AUTH_MODE=token if it uses tokens, or leave the option out"
    )


class _Actor:
    """Process on a machine of the cluster."""

    def start(self, log: Path, versions: Callable[[], object]) -> tuple[str, bool, object]:
        """Name of the machine, whether it sees the log file, and its versions."""
        sees = log.exists()
        if sees:
            redirect_output(log)
        single_threaded()
        return socket.gethostname(), sees, versions()

    def run(self, function: Callable[[Any], Any], job: Any) -> Any:
        """Result of a job, or its failure."""
        return attempt(function, job)


class RayWorker(Worker):
    """Actor of the cluster. Its handle is the reference to the pending call."""

    def __init__(self, function: Callable[[Any], Any], log: Path, versions: Callable[[], object]) -> None:
        import ray

        self._function, self._log, self._versions = function, log, versions
        threads = {"env_vars": dict.fromkeys(THREAD_VARIABLES, "1")}
        remote = ray.remote(_Actor).options(num_cpus=1, max_restarts=0, runtime_env=threads)
        self._actor: Any = remote.remote()
        self.handle: Any = self._actor.start.remote(log, versions)

    def check_started(self) -> None:
        """Refuse a machine that does not see the dataset or has other versions than this one."""
        import ray

        try:
            machine, sees, versions = ray.get(self.handle)
        except ray.exceptions.RayError as error:
            # The exception raised there, if any; else the end of Ray's report, which names the cause.
            reason = _line(getattr(error, "cause", None) or str(error).rstrip().rpartition("\n")[2])
            raise RayExecutorError(
                f"--ray: a process of the cluster did not start ({reason}): "
                "install the project and its weights on every machine"
            ) from error
        if not sees:
            raise RayExecutorError(
                f"--ray: {machine} does not see {self._log.parent}: "
                "put the dataset where all machines see it under the same path"
            )
        expected = self._versions()
        if versions != expected:
            raise RayExecutorError(
                f"--ray: {machine} has other versions than this machine ({_difference(expected, versions)}): "
                "install the same on both"
            )

    def submit(self, job: Any) -> None:
        """Start a job."""
        self.handle = self._actor.run.remote(self._function, job)

    def result(self) -> Any:
        """Result of the finished job, or a `JobFailure`."""
        import ray

        try:
            return ray.get(self.handle)
        except ray.exceptions.OutOfMemoryError:
            raise WorkerDiedError(
                "the worker process was killed for lack of memory: use fewer --workers"
            ) from None
        except ray.exceptions.RayActorError as error:
            # The loss of a machine and the crash of a job look the same from here.
            reason = (
                f"the worker process died on it twice ({_line(error)}): run it again, or convert the file"
            )
            raise WorkerDiedError(reason, fatal=True, retry=True) from None
        except ray.exceptions.RayError as error:
            return JobFailure(_line(error))

    def kill(self) -> None:
        """End the process at once."""
        import ray

        with contextlib.suppress(Exception):  # the actor or the cluster may be gone
            ray.kill(self._actor)


class RayExecutor(Executor):
    """Runs jobs on the cluster that this process has joined.

    Raises in `run`:
        RayExecutorError: A machine does not see the folder of the log, has other versions than this one, or
            cannot start a process.
    """

    @property
    def num_cpus(self) -> int:
        """Number of cores of all machines."""
        import ray

        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    def start(self, function: Callable[[Any], Any], limits: Limits, versions: Callable[[], object]) -> Worker:
        """Start an actor."""
        return RayWorker(function, limits.log, versions)

    def wait(self, handles: Sequence[Any], timeout: float | None) -> Collection[Any]:
        """References of calls that have ended."""
        import ray

        ray.wait(handles, timeout=timeout)
        # All that have ended by now, so that a result is not late because its reader was.
        done, _ = ray.wait(handles, num_returns=len(handles), timeout=0)
        return list(done)


def _difference(expected: object, found: object) -> str:
    if not isinstance(expected, dict) or not isinstance(found, dict):
        return f"{found}, here {expected}"
    keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
    return ", ".join(f"{key} {found.get(key)}, here {expected.get(key)}" for key in keys)


def _line(error: BaseException | str) -> str:
    return " ".join(str(error).split())[:200]
