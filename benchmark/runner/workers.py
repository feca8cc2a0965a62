"""One run in several processes: each takes a shard, the last one to end summarizes."""

from __future__ import annotations

import dataclasses
import multiprocessing
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Literal

from benchmark.errors import EvaluationError
from benchmark.results import Run, read_run
from benchmark.runner.evaluate import clear_run, evaluate
from benchmark.runner.run_settings import RunSettings
from talkingpose.io.errors import UserError
from talkingpose.io.progress import Progress

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

_WAIT_S = 0.2


@dataclass(frozen=True)
class _Report:
    """Progress of a worker, or the error that ended it."""

    kind: Literal["message", "start", "advance", "error"]
    text: str = ""
    frames: int = 0


class _QueuedProgress(Progress):
    """Progress that is sent to the main process."""

    def __init__(self, reports: Queue[_Report], shard: str) -> None:
        self._reports, self._shard = reports, shard

    def message(self, text: str) -> None:
        self._reports.put(_Report("message", f"{self._shard}: {text}"))

    def start(self, label: str, total: int | None, unit: str = "") -> None:
        self._reports.put(_Report("start", frames=total or 0))

    def advance(self, steps: int = 1) -> None:
        self._reports.put(_Report("advance", frames=steps))


def evaluate_in_workers(settings: RunSettings, count: int, progress: Progress) -> Run:
    """Run `evaluate` in several processes; the result is bit-identical.

    Each process loads the model and takes every n-th batch. If one ends early, the others finish theirs, and
    the same call does the rest.

    Raises:
        UserError: as `evaluate`.
    """
    if count < 1:
        raise EvaluationError(f"--workers {count}: give a number from 1")
    if settings.shard is not None and count > 1:
        raise EvaluationError("--workers: a shard is one process: give --shard or --workers, not both")
    if count == 1:
        return evaluate(settings, progress)
    if settings.fresh:
        clear_run(settings)
        settings = dataclasses.replace(settings, fresh=False)
    # A process that is forked while torch's threads are at work may hang.
    context = multiprocessing.get_context("spawn")
    reports: Queue[_Report] = context.Queue()
    workers = [
        context.Process(
            target=_work,
            args=(dataclasses.replace(settings, shard=(index, count)), f"{index}/{count}", reports),
            name=f"worker {index} of {count}",
            daemon=True,
        )
        for index in range(1, count + 1)
    ]
    for worker in workers:
        worker.start()
    error = _pass_on(workers, reports, progress)
    if error is not None:
        raise EvaluationError(error)
    broken = next((worker for worker in workers if worker.exitcode), None)
    if broken is not None:
        raise EvaluationError(
            f"--out {settings.out}: {broken.name} ended early (exit code {broken.exitcode}); the results of "
            "the others are kept: run the same command again"
        )
    run = read_run(settings.out)
    if run.status == "running":
        raise EvaluationError(
            f"--out {settings.out}: the workers ended before the run was complete: run the same command again"
        )
    return run


def _work(settings: RunSettings, shard: str, reports: Queue[_Report]) -> None:
    """Do one shard."""
    try:
        evaluate(settings, _QueuedProgress(reports, shard))
    except KeyboardInterrupt:
        pass  # the terminal interrupts every process at once; the main process reports it
    except UserError as error:
        reports.put(_Report("error", str(error)))


def _pass_on(workers: Sequence[BaseProcess], reports: Queue[_Report], progress: Progress) -> str | None:
    """Pass on the progress of the workers until all have ended; return the first error."""
    error: str | None = None
    planned = done = 0
    while True:
        alive = any(worker.is_alive() for worker in workers)
        try:
            report = reports.get(timeout=_WAIT_S)
        except queue.Empty:
            if alive:
                continue
            return error
        if report.kind == "message":
            progress.message(report.text)
        elif report.kind == "start":
            planned += report.frames
            progress.start("frames", planned, "frames")
            progress.advance(done)
        elif report.kind == "advance":
            done += report.frames
            progress.advance(report.frames)
        else:
            error = error or report.text
