"""The parts of one run against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmark.metrics import AnyMetric
from benchmark.results import CaseResult, ResultError, Run, read_case, read_run
from benchmark.run_check.checked_run import CheckedRun
from benchmark.run_check.controls import check_control
from benchmark.run_check.files import Floats, check_files, check_place, check_run_document, read_frame_table
from benchmark.run_check.problem import RunProblem, contradiction, remark
from benchmark.run_check.scores import check_scores, is_recomputable
from benchmark.run_check.summaries import (
    check_listing,
    check_summaries,
    checkable_metrics,
    installed_protocol,
    unscored_clips,
)
from benchmark.run_dir import RunDir

_FOREIGN_SHOWN = 20


def check_run(folder: Path, controls: Sequence[Path] = ()) -> CheckedRun:
    """Read a run and hold its parts against each other.

    Args:
        folder: of the run.
        controls: folders of runs that may be the codec control of its horizons.

    Raises:
        ResultError: `run.json` cannot be read.
    """
    check_run_document(folder)
    run = read_run(folder)
    place = RunDir(folder)
    problems: list[RunProblem] = []
    cases = dict(_read_cases(place, run, problems))
    problems += check_listing(run, cases)
    problems += _foreign_cases(place, run)
    protocol = installed_protocol(run)
    metrics: list[AnyMetric] = []
    if isinstance(protocol, RunProblem):
        problems.append(protocol)
    else:
        metrics = checkable_metrics(run, protocol)
    tables = dict(_read_tables(place, cases, problems))
    for clip_id, table in tables.items():
        problems += check_scores(cases[clip_id], table, metrics, run.contestant.window)
    problems += check_control(run, cases, tables)
    complete = set(run.cases) - unscored_clips(run) == cases.keys() == tables.keys()
    if not isinstance(protocol, RunProblem) and complete and cases:
        ordered = [cases[clip_id] for clip_id in sorted(cases)]
        problems += check_summaries(
            place, run, ordered, protocol, metrics, [RunDir(path) for path in controls]
        )
    unknown = frozenset(metric.spec.id for metric in metrics if not is_recomputable(metric))
    return CheckedRun(folder, run, cases, not_recomputable=unknown).with_problems(problems)


def read_frame_scores(checked: CheckedRun, clip_id: str) -> Mapping[str, Floats]:
    """Read the frame scores of a clip of a checked run: column -> float64 (num_frames,), NaN for no score.

    Raises:
        ResultError: the file is missing, leads out of the run, or is no table of numbers of this clip.
    """
    place = RunDir(checked.folder)
    problem = next(iter(check_place(place, clip_id)), None)
    if problem is not None:
        raise ResultError(f"{place.frames(clip_id)}: {problem.message}: give a folder that tp-eval wrote")
    return read_frame_table(place, checked.cases[clip_id])


def _read_cases(place: RunDir, run: Run, problems: list[RunProblem]) -> Iterator[tuple[str, CaseResult]]:
    """Yield the documents of the scored clips that can be read; note the others."""
    unscored = unscored_clips(run)
    for clip_id in dict.fromkeys(run.cases):
        if clip_id in unscored:
            continue
        where = f"cases/{clip_id}.json"
        found = list(check_place(place, clip_id))
        problems += found
        if any(problem.where == where for problem in found):
            continue
        try:
            case = read_case(place.case(clip_id))
        except ResultError as error:
            problems.append(contradiction(where, str(error)))
            continue
        if case.clip_id == clip_id:
            yield clip_id, case
        else:
            problems.append(contradiction(where, f"is of clip {case.clip_id}"))


def _read_tables(
    place: RunDir, cases: Mapping[str, CaseResult], problems: list[RunProblem]
) -> Iterator[tuple[str, Mapping[str, Floats]]]:
    """Yield the frame scores that can be read; note the others, and files that are not those of the case."""
    absent = {problem.where for problem in problems}
    for clip_id, case in cases.items():
        problems += check_files(place, case)
        where = f"frames/{clip_id}.parquet"
        if where in absent:
            continue
        try:
            yield clip_id, read_frame_table(place, case)
        except ResultError as error:
            problems.append(contradiction(where, str(error)))


def _foreign_cases(place: RunDir, run: Run) -> Iterator[RunProblem]:
    names = {path.stem for path in (place.path / "cases").glob("*.json") if not path.name.startswith(".")}
    for name in sorted(names - set(run.cases))[:_FOREIGN_SHOWN]:
        yield remark(f"cases/{name[:100]}.json", "belongs to no clip of the run")
