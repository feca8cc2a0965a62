"""One run in several processes that share a queue of batches, on one device each."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from typing import Any, Literal

from benchmark.errors import EvaluationError
from benchmark.results import Run, read_run
from benchmark.run_dir import RunDir
from benchmark.runner.devices import WorkerDevice
from benchmark.runner.evaluate import CaseOutcome, clear_run, evaluate, open_session, start_progress
from benchmark.runner.run_settings import RunSettings
from talkingpose.io.errors import UserError
from talkingpose.io.progress import Progress

# Workers that may end during a batch before it is left out.
_TRIES = 2
# Longest wait for processes that have no more work, in seconds.
_END_S = 10.0


@dataclass(frozen=True)
class _Report:
    """Message of a worker: its progress, the work that it finds or has done, or the error that ended it."""

    kind: Literal["message", "advance", "missing", "case", "batch", "complete", "error"]
    value: Any = None


class _PipedProgress(Progress):
    """Progress that is sent to the main process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def message(self, text: str) -> None:
        self._pipe.send(_Report("message", text))

    def advance(self, steps: int = 1) -> None:
        self._pipe.send(_Report("advance", steps))


def evaluate_in_workers(settings: RunSettings, devices: Sequence[WorkerDevice], progress: Progress) -> Run:
    """Run `evaluate` in one process per device; the result is bit-identical.

    Each process loads the model once and takes the next batch when it is free. If a process ends, another one
    takes its batch; the same call does the batches that are missing.

    Raises:
        UserError: as `evaluate`; or all processes ended.
    """
    if len(devices) == 1 and devices[0].visible is None:
        return evaluate(dataclasses.replace(settings, device=devices[0].device), progress)
    if settings.fresh:
        if settings.shard is not None:
            raise EvaluationError("--fresh: other shards may be at work in the folder: choose another --out")
        with devices[0].environment():
            clear_run(dataclasses.replace(settings, device=devices[0].device))
        settings = dataclasses.replace(settings, fresh=False)
    return _Pool(settings, devices, progress).run()


class _Worker:
    """Process with its pipe, and the batch it works on."""

    def __init__(self, settings: RunSettings, device: WorkerDevice, number: int, of: int) -> None:
        # A process that is forked while torch's threads are at work may hang.
        context = multiprocessing.get_context("spawn")
        self.name = device.name
        self.pipe, theirs = context.Pipe()
        self.settings = dataclasses.replace(settings, device=device.device, worker=(number, of))
        self.process = context.Process(
            target=_work, args=(self.settings, theirs), name=self.name, daemon=True
        )
        self.batch: int | None = None
        with device.environment():
            self.process.start()
        theirs.close()

    def send(self, message: object) -> None:
        """Send a message; a process that has ended is noticed by its pipe."""
        with contextlib.suppress(ConnectionError):
            self.pipe.send(message)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end of the process, kill it after the timeout, and delete its unfinished files."""
        self.process.join(timeout_s)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        if self.process.exitcode:
            assert self.settings.worker is not None
            RunDir(self.settings.out.absolute()).remove_drafts_of(self.settings.shard, self.settings.worker)


class _Pool:
    """Queue of batches, longest first, and the processes that take them."""

    def __init__(self, settings: RunSettings, devices: Sequence[WorkerDevice], progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        of = len(devices)
        self._workers = [_Worker(settings, device, i, of) for i, device in enumerate(devices, start=1)]
        self._queue: deque[int] | None = None
        self._idle: list[_Worker] = []
        self._outcomes: dict[str, CaseOutcome] = {}
        self._lost = Counter[int]()
        self._total = 0
        self._said: set[str] = set()
        self._endings: list[str] = []
        self._errors: list[str] = []
        self._writer: _Worker | None = None
        self._complete = False

    def run(self) -> Run:
        """Do all batches and return the document of the run."""
        working = list(self._workers)
        try:
            while working and not self._complete:
                ready = connection.wait([worker.pipe for worker in working])
                for worker in [worker for worker in working if worker.pipe in ready]:
                    try:
                        self._take(worker, worker.pipe.recv())
                    except (EOFError, OSError):  # OSError: killed within a message
                        working.remove(worker)
                        self._mourn(worker)
                self._hand_out(working)
        finally:
            for worker in self._workers:
                worker.pipe.close()
            for worker in self._workers:
                worker.join(_END_S)
        return self._result()

    def _take(self, worker: _Worker, report: _Report) -> None:
        match report.kind:
            case "message":
                if report.value not in self._said:  # every process describes the run
                    self._progress.message(report.value)
                    self._said.add(report.value)
            case "advance":
                self._progress.advance(report.value)
            case "missing":
                if self._queue is None:
                    self._total = start_progress(report.value, self._progress)
                    # The longest last would leave the other processes without work.
                    self._queue = deque(sorted(report.value, key=lambda n: (-report.value[n][1], n)))
                self._idle.append(worker)
            case "case":
                self._outcomes[report.value.clip_id] = report.value
                self._progress.message(
                    f"{worker.name}: {len(self._outcomes)}/{self._total} {report.value.text}"
                )
            case "batch":
                worker.batch = None
                self._idle.append(worker)
            case "complete":
                self._complete = True
            case "error":
                self._errors.append(report.value)
                self._endings.append(report.value)

    def _mourn(self, worker: _Worker) -> None:
        """Give the batch of a process that ended to another one."""
        worker.join()
        if worker.process.exitcode:
            self._endings.append(f"{worker.name} ended early (exit code {worker.process.exitcode})")
        self._writer = None if self._writer is worker else self._writer
        self._idle = [idle for idle in self._idle if idle is not worker]
        if worker.batch is not None and self._queue is not None:
            self._lost[worker.batch] += 1
            if self._lost[worker.batch] < _TRIES:
                self._queue.appendleft(worker.batch)

    def _hand_out(self, working: Sequence[_Worker]) -> None:
        """Give batches to idle processes; when all are done, one of them writes the document.

        A process that is still loading its model is not waited for.
        """
        while self._queue and self._idle:
            worker = self._idle.pop()
            worker.batch = self._queue.popleft()
            worker.send(worker.batch)
        is_done = self._queue is not None and not self._queue and all(w.batch is None for w in working)
        if is_done and self._idle and self._writer is None:
            self._writer = self._idle[0]
            self._writer.send(list(self._outcomes.values()))

    def _result(self) -> Run:
        endings = list(dict.fromkeys(self._endings))
        given_up = any(times >= _TRIES for times in self._lost.values())
        if not self._complete or given_up:
            if self._errors:  # these say what to do
                raise EvaluationError(self._errors[0])
            raise EvaluationError(
                f"--out {self._settings.out}: {'; '.join(endings)}; finished clips are kept: "
                "run the same command again"
            )
        for ending in endings:
            self._progress.message(f"{ending}; the other processes did its work")
        return read_run(self._settings.out)


def _work(settings: RunSettings, pipe: Connection) -> None:
    """Main loop of a process: numbers of batches in, outcomes out; a list of outcomes ends the run."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        with open_session(settings, _PipedProgress(pipe)) as session:
            pipe.send(_Report("missing", session.missing()))
            while True:
                message = pipe.recv()
                if isinstance(message, list):
                    session.complete(message)
                    pipe.send(_Report("complete"))
                    continue
                for outcome in session.generate(message):
                    pipe.send(_Report("case", outcome))
                pipe.send(_Report("batch"))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        pass  # the main process has ended, or has no more work and reports the reason
    except UserError as error:
        with contextlib.suppress(ConnectionError):
            pipe.send(_Report("error", str(error)))


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
