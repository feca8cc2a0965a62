"""A whole run: settings -> plan -> cases -> `run.json`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.analysis.lag import MAX_LAG, MAX_SHIFT
from benchmark.errors import EvaluationError
from benchmark.results import Run, write_document
from benchmark.runner.generate import BatchTask, CaseFailed, CaseFinished, generate
from benchmark.runner.plan import PlannedCase
from benchmark.runner.prepared_run import PreparedRun, prepare_run
from benchmark.runner.resume import check_same_run, finished_cases
from benchmark.runner.run_document import case_document, completed_run, started_run
from benchmark.runner.run_settings import RunSettings
from talkingpose.data.contestant import Contestant
from talkingpose.io.progress import SILENT, Progress

__all__ = ["RunSession", "RunSettings", "clear_run", "dry_run", "evaluate", "open_session"]


# Steps of a batch of eight pictures of 512 x 512: 200 MB.
_FRAMES_AHEAD = 32


@dataclass(frozen=True)
class CaseOutcome:
    """Outcome of a case: its line for the terminal, and the reason if it failed."""

    clip_id: str
    text: str
    failure: str | None = None


class RunSession:
    """Run that this process works on: batches one by one, then the document of the run."""

    def __init__(self, run: PreparedRun, progress: Progress) -> None:
        self._run = run
        self._batches = run.all_batches()
        self._task = BatchTask(
            run.dataset,
            run.host,
            run.metrics,
            run.folder,
            run.settings.seed,
            progress.advance,
            run.settings.keep_frames,
            MAX_LAG if run.predictions is None else MAX_SHIFT,
            frames_ahead(run),
        )

    def missing(self) -> dict[int, tuple[int, int]]:
        """Return number of each batch of the own shard with work to do -> its unfinished cases and frames."""
        done = finished_cases(self._run)
        found = {}
        for number in self._run.own_batches():
            todo = [case for case in self._batches[number] if done[case.clip.clip_id] is None]
            if todo:
                found[number] = len(todo), sum(case.num_frames for case in todo)
        return found

    def generate(self, number: int) -> Iterator[CaseOutcome]:
        """Generate and score the unfinished cases of a batch, and write each as it ends."""
        batch = self._batches[number]
        done = finished_cases(self._run, batch)
        unfinished = {clip_id for clip_id, case in done.items() if case is None}
        for outcome in self._outcomes(batch, unfinished) if unfinished else ():
            clip_id = outcome.planned.clip.clip_id
            if isinstance(outcome, CaseFailed):
                yield CaseOutcome(clip_id, f"{clip_id}: failed: {outcome.reason}", outcome.reason)
                continue
            case = case_document(self._run, outcome)
            write_document(case, self._run.folder.case(clip_id))
            each = (case.generation_s or case.scoring_s) / case.num_frames
            yield CaseOutcome(clip_id, f"{clip_id}: {case.num_frames} frames, {each:.3f} s each")

    def complete(self, outcomes: Sequence[CaseOutcome]) -> Run:
        """Write the document of the run; `outcomes` has at least the failed cases of the own shard."""
        run = self._run
        planned = {case.clip.clip_id: case for case in run.plan.cases}
        failures = [
            CaseFailed(planned[one.clip_id], one.failure) for one in outcomes if one.failure is not None
        ]
        with run.folder.updating(run.is_alone):
            cases = [case for case in finished_cases(run).values() if case is not None]
            document = completed_run(run, cases, sorted(failures, key=lambda one: one.planned.clip.clip_id))
            run.folder.write_run(document)
        return document

    def _outcomes(
        self, batch: Sequence[PlannedCase], unfinished: set[str]
    ) -> Iterator[CaseFinished | CaseFailed]:
        """Yield the outcome of every unfinished case. The clips of a batch that fails are tried alone."""
        alone: list[PlannedCase] = []
        for outcome in generate(batch, unfinished, self._task):
            if isinstance(outcome, CaseFailed) and outcome.shared and len(batch) > 1:
                alone.append(outcome.planned)
            else:
                yield outcome
        for case in alone:
            yield from generate([case], unfinished, self._task)


def frames_ahead(run: PreparedRun) -> int:
    """Return how many steps may wait for their scores, so that a GPU does not wait for the scores.

    On the CPU generation and scoring share the cores, and the cost of a frame is measured alone. Driving
    frames come from the decoder that the scores read.
    """
    apart = run.host.isolated and run.device != "cpu" and run.info.driving_frames == "none"
    return _FRAMES_AHEAD if apart else 0


@contextlib.contextmanager
def open_session(
    settings: RunSettings, progress: Progress = SILENT, contestant: Contestant | None = None
) -> Iterator[RunSession]:
    """Prepare a run, lock its folder and check that it holds nothing else.

    Raises:
        UserError: a setting, the dataset or the contestant cannot be used; nothing is written then.
    """
    run = prepare_run(settings, contestant)
    with contextlib.closing(run.host):
        progress.message(run.first_line())
        with _write_errors(settings), run.folder.locked(settings.shard, settings.worker):
            with run.folder.updating(run.is_alone):
                if settings.fresh:
                    run.folder.clear()
                check_same_run(run)
                if run.is_alone or run.folder.run() is None:
                    run.folder.write_run(started_run(run))
            yield RunSession(run, progress)


def evaluate(
    settings: RunSettings,
    progress: Progress = SILENT,
    contestant: Contestant | None = None,
) -> Run:
    """Run a contestant over a dataset and write the run folder.

    A folder that holds a part of the same run is completed. Failed cases are listed in the audit; the run is
    then `partial`, or `failed` if no case was scored.

    Args:
        settings: of the run.
        progress: is told the number of frames, and one line per clip.
        contestant: an object to evaluate in this process; None creates the one that `settings` names.

    Raises:
        UserError: a setting, the dataset or the contestant cannot be used; nothing is written then.
    """
    with open_session(settings, progress, contestant) as session:
        missing = session.missing()
        total = start_progress(missing, progress)
        outcomes: list[CaseOutcome] = []
        for number in missing:
            for outcome in session.generate(number):
                outcomes.append(outcome)
                progress.message(f"{len(outcomes)}/{total} {outcome.text}")
        return session.complete(outcomes)


def start_progress(missing: dict[int, tuple[int, int]], progress: Progress) -> int:
    """Announce the frames to do; returns the number of cases to do."""
    progress.start("frames", sum(frames for _, frames in missing.values()), "frames")
    return sum(cases for cases, _ in missing.values())


def dry_run(settings: RunSettings, progress: Progress = SILENT) -> list[PlannedCase]:
    """Return the clips that `evaluate` would generate and score. Nothing is written.

    Raises:
        UserError: as `evaluate`.
    """
    run = prepare_run(settings)
    with contextlib.closing(run.host):
        progress.message(run.first_line())
        if settings.fresh:
            return list(run.plan.cases)
        check_same_run(run)
        done = finished_cases(run)
        return [case for case in run.own_cases if done[case.clip.clip_id] is None]


def clear_run(settings: RunSettings) -> None:
    """Delete the results in the run folder, if the settings are valid.

    Raises:
        UserError: as `evaluate`; nothing is deleted then.
    """
    run = prepare_run(settings)
    with contextlib.closing(run.host), _write_errors(settings), run.folder.locked():
        run.folder.clear()


@contextlib.contextmanager
def _write_errors(settings: RunSettings) -> Iterator[None]:
    """Turn a full disk or a deleted folder into a message."""
    try:
        yield
    except OSError as error:
        raise EvaluationError(
            f"--out {settings.out}: cannot be written ({error.strerror or error}): check the disk, then run "
            "the command again"
        ) from error
