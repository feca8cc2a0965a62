"""One run in several processes of this machine: each does a shard, the last to end folds them."""

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
from benchmark.runner.evaluate import Progress, RunSettings, clear_run, evaluate
from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

_WAIT_S = 0.2


@dataclass(frozen=True)
class _Word:
    """What a worker has to say: a line, a number of frames, or why it gave up."""

    kind: Literal["say", "planned", "made", "error"]
    content: str | int


def evaluate_in_workers(settings: RunSettings, number: int, listener: Progress) -> Run:
    """`evaluate`, in `number` processes; the result is the same, bit for bit.

    Each process loads the model for itself and takes whole batches in turn. Where one breaks down, the others
    finish theirs; the same call does what is left.

    Raises:
        UserError: something the user can mend.
    """
    if number < 1:
        raise EvaluationError(f"--workers {number}: give a number from 1 on")
    if settings.shard is not None and number > 1:
        raise EvaluationError("--workers: a shard is one process: give --shard or --workers, not both")
    if number == 1:
        return evaluate(settings, listener)
    if settings.fresh:
        clear_run(settings)
        settings = dataclasses.replace(settings, fresh=False)
    # A process that is forked while torch's threads are at work may hang.
    context = multiprocessing.get_context("spawn")
    words: Queue[_Word] = context.Queue()
    workers = [
        context.Process(
            target=_work,
            args=(dataclasses.replace(settings, shard=(which, number)), words),
            name=f"worker {which} of {number}",
            daemon=True,
        )
        for which in range(1, number + 1)
    ]
    for worker in workers:
        worker.start()
    error = _listen(workers, words, listener)
    if error is not None:
        raise EvaluationError(error)
    broken = next((worker for worker in workers if worker.exitcode), None)
    if broken is not None:
        raise EvaluationError(
            f"--out {settings.out}: {broken.name} broke down (exit code {broken.exitcode}), what the others "
            "made is kept: run the same command again"
        )
    return read_run(settings.out)


def _work(settings: RunSettings, words: Queue[_Word]) -> None:
    """The life of a worker."""
    listener = Progress(
        say=lambda line: words.put(_Word("say", f"{_shard(settings)}: {line}")),
        planned=lambda frames: words.put(_Word("planned", frames)),
        made=lambda frames: words.put(_Word("made", frames)),
    )
    try:
        evaluate(settings, listener)
    except KeyboardInterrupt:
        pass  # the terminal tells every process at once, and the first one reports it
    except UserError as error:
        words.put(_Word("error", str(error)))


def _shard(settings: RunSettings) -> str:
    assert settings.shard is not None
    return "{}/{}".format(*settings.shard)


def _listen(workers: Sequence[BaseProcess], words: Queue[_Word], listener: Progress) -> str | None:
    """Pass on what the workers say until all have ended; the first error, None where there was none."""
    error: str | None = None
    planned = 0
    while True:
        alive = any(worker.is_alive() for worker in workers)
        try:
            word = words.get(timeout=_WAIT_S)
        except queue.Empty:
            if alive:
                continue
            return error
        if word.kind == "say":
            listener.say(str(word.content))
        elif word.kind == "planned":
            planned += int(word.content)
            listener.planned(planned)
        elif word.kind == "made":
            listener.made(int(word.content))
        else:
            error = error or str(word.content)
