"""A whole run: settings -> plan -> cases -> `run.json`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from benchmark.analysis.lag import MAX_LAG, MAX_SHIFT
from benchmark.errors import EvaluationError
from benchmark.results import CaseResult, Run, write_document
from benchmark.runner.generate import BatchTask, CaseFailed, CaseFinished, generate
from benchmark.runner.plan import PlannedCase
from benchmark.runner.prepared_run import PreparedRun, prepare_run
from benchmark.runner.resume import check_same_run, finished_cases
from benchmark.runner.run_document import case_document, completed_run, started_run
from benchmark.runner.run_settings import RunSettings
from talkingpose.data.contestant import Contestant
from talkingpose.io.progress import SILENT, Progress

__all__ = ["RunSettings", "clear_run", "dry_run", "evaluate"]


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
    run = prepare_run(settings, contestant)
    with contextlib.closing(run.host):
        progress.message(run.first_line())
        with _write_errors(settings), run.folder.locked(settings.shard):
            with run.folder.updating(settings.shard):
                if settings.fresh:
                    run.folder.clear()
                check_same_run(run)
                if settings.shard is None or run.folder.run() is None:
                    run.folder.write_run(started_run(run))
            failures = _generate_missing(run, progress)
            with run.folder.updating(settings.shard):
                cases = [case for case in finished_cases(run).values() if case is not None]
                document = completed_run(run, cases, failures)
                run.folder.write_run(document)
    return document


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


def _generate_missing(run: PreparedRun, progress: Progress) -> list[CaseFailed]:
    """Generate the unfinished cases and write each as it ends; return the failed ones."""
    done = finished_cases(run)
    own = run.own_cases
    missing = [case for case in own if done[case.clip.clip_id] is None]
    if len(missing) < len(own):
        progress.message(f"{len(own) - len(missing)} of {len(own)} clips are done already")
    progress.start("frames", sum(case.num_frames for case in missing), "frames")
    failures: list[CaseFailed] = []
    for number, outcome in enumerate(_outcomes(run, done, progress), start=1):
        clip_id = outcome.planned.clip.clip_id
        if isinstance(outcome, CaseFailed):
            failures.append(outcome)
            progress.message(f"{number}/{len(missing)} {clip_id}: failed: {outcome.reason}")
        else:
            case = case_document(run, outcome)
            write_document(case, run.folder.case(clip_id))
            each = (case.generation_s or case.scoring_s) / case.num_frames
            progress.message(
                f"{number}/{len(missing)} {clip_id}: {case.num_frames} frames, {each:.3f} s each"
            )
    return sorted(failures, key=lambda failure: failure.planned.clip.clip_id)


def _outcomes(
    run: PreparedRun, done: Mapping[str, CaseResult | None], progress: Progress
) -> Iterator[CaseFinished | CaseFailed]:
    """Yield the outcome of every unfinished case. The clips of a batch that fails are tried alone."""
    task = BatchTask(
        run.dataset,
        run.host,
        run.metrics,
        run.folder,
        run.settings.seed,
        progress.advance,
        run.settings.keep_frames,
        MAX_LAG if run.predictions is None else MAX_SHIFT,
    )
    for batch in run.batches:
        unfinished = {case.clip.clip_id for case in batch if done[case.clip.clip_id] is None}
        alone: list[PlannedCase] = []
        for outcome in generate(batch, unfinished, task) if unfinished else ():
            if isinstance(outcome, CaseFailed) and outcome.shared and len(batch) > 1:
                alone.append(outcome.planned)
            else:
                yield outcome
        for case in alone:
            yield from generate([case], unfinished, task)


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
