"""Runs as they lie on disk: found, read, checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.results import CaseResult, ResultError, Run, read_case, read_run


@dataclass(frozen=True)
class LoadedRun:
    """A run's document with the clips it lists; `cases` lacks those whose file is not beside `run.json`."""

    folder: Path
    run: Run
    cases: tuple[CaseResult, ...]


def find_runs(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Folders that hold a `run.json`: the paths themselves or their direct subfolders, each once.

    Returns the runs and, of folders of runs, the subfolders that are none.

    Raises:
        ResultError: a path is no folder, or there is no run in it.
    """
    found: dict[Path, None] = {}
    left_out: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            what = "not a folder" if path.exists() else "no such folder"
            raise ResultError(f"{path}: {what}: give a folder that tp-eval wrote, or a folder of such")
        if (path / "run.json").exists():
            found[path.resolve()] = None
            continue
        children = _subfolders(path)
        inside = [child for child in children if (child / "run.json").exists()]
        if not inside:
            raise ResultError(f"{path}: no run in it (no run.json): give a folder that tp-eval wrote")
        found.update(dict.fromkeys(child.resolve() for child in inside))
        left_out.update(dict.fromkeys(child for child in children if child not in inside))
    return list(found), list(left_out)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if child.is_dir() and child.name[0] != ".")
    except OSError as error:
        raise ResultError(f"{folder}: cannot be read ({error.strerror}): mend its permissions") from error


def load_run(folder: Path) -> LoadedRun:
    """Read `run.json` and the files of the clips it lists.

    Raises:
        ResultError: a document is damaged or contradicts itself.
    """
    run = read_run(folder)
    _check_curves(run, folder / "run.json")
    _check_numbers(run, folder / "run.json")
    listed = set(run.cases)
    cases = {}
    for path in sorted((folder / "cases").glob("*.json")):
        # An earlier attempt with a larger limit may have left clips that are no part of this run.
        case = read_case(path)
        if case.clip_id in listed:
            if case.clip_id in cases:
                raise ResultError(f"{path}: clip {case.clip_id} is there twice: run tp-eval again")
            cases[case.clip_id] = case
    return LoadedRun(folder, run, tuple(cases[clip] for clip in sorted(cases)))


def load_runs(folders: Sequence[Path]) -> list[LoadedRun]:
    """Read all runs, in an order that depends on what they say and not on where they lie.

    Raises:
        ResultError: one is damaged, or two are the same.
    """
    loaded: dict[str, LoadedRun] = {}
    for folder in folders:
        entry = load_run(folder)
        document = entry.run.model_dump_json(by_alias=True)
        if document in loaded:
            raise ResultError(f"{folder}: the same run as {loaded[document].folder}: give one of them")
        loaded[document] = entry
    return [loaded[document] for document in sorted(loaded)]


def _check_curves(run: Run, path: Path) -> None:
    for name, curve in run.drift.items():
        lengths = {len(values) for values in (curve.time_s, curve.mean, curve.low, curve.high, curve.n_clips)}
        if len(lengths) > 1:
            raise ResultError(f"{path}: drift.{name}: lists of different lengths: run tp-eval again")


def _check_numbers(run: Run, path: Path) -> None:
    # The schema keeps NaN out of every field but `env`, which may hold anything.
    try:
        json.dumps(run.env, allow_nan=False)
    except ValueError as error:
        raise ResultError(
            f"{path}: env: NaN or infinity in it, which is no JSON: run tp-eval again"
        ) from error
