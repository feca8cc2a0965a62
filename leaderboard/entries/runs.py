"""Runs on disk: found, checked, refused where they contradict themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.results import ResultError, Run
from benchmark.run_check import CheckedRun, check_run, check_together
from talkingpose.io.progress import SILENT, Progress

_REASONS_SHOWN = 5


@dataclass(frozen=True)
class RefusedRun:
    """A folder that is not shown, with one line for each reason."""

    folder: Path
    reasons: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the first reasons, one line each, with the folder."""
        more = len(self.reasons) - _REASONS_SHOWN
        rest = [f"{self.folder}: and {more} more"] if more > 0 else []
        return [f"{self.folder}: {reason}" for reason in self.reasons[:_REASONS_SHOWN]] + rest


def find_runs(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Find folders that hold a `run.json`: the paths themselves or their direct subfolders, each once.

    Returns:
        The runs; and the subfolders of folders of runs that are not runs.

    Raises:
        ResultError: there is no path, or one is not a folder or has no run in it.
    """
    if not paths:
        raise ResultError("no run to read: give a folder that tp-eval wrote")
    found: dict[Path, None] = {}
    left_out: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            what = "not a folder" if path.exists() else "no such folder"
            raise ResultError(
                f"{path}: {what}: give a folder that tp-eval wrote, or a folder of such folders"
            )
        if _has_run(path):
            found[path.resolve()] = None
            continue
        children = _subfolders(path)
        inside = [child for child in children if _has_run(child)]
        if not inside:
            raise ResultError(f"{path}: no run in it (no run.json): give a folder that tp-eval wrote")
        found.update(dict.fromkeys(child.resolve() for child in inside))
        left_out.update(dict.fromkeys(child for child in children if child not in inside))
    return list(found), list(left_out)


def check_runs(
    folders: Sequence[Path], progress: Progress = SILENT
) -> tuple[list[CheckedRun], list[RefusedRun]]:
    """Read and check all runs, alone and against the other runs over the same clips.

    Returns:
        The runs to show, in an order that depends on what they say and not on where they lie; and the runs
        that are damaged, contradict themselves or the others, or are copies.
    """
    refused: list[RefusedRun] = []
    checked: dict[str, CheckedRun] = {}
    progress.start("check", len(folders), "run")
    for folder in sorted(folders):
        try:
            run = check_run(folder)
        except ResultError as error:
            refused.append(RefusedRun(folder, (str(error),)))
            continue
        finally:
            progress.advance()
        document = run.run.model_dump_json(by_alias=True)
        if run.contradictions:
            refused.append(_refused(run))
        elif document in checked:
            refused.append(RefusedRun(folder, (f"the same run as {checked[document].folder}",)))
        else:
            checked[document] = run
    controls = [run.folder for run in checked.values() if run.run.contestant.control]
    groups: dict[tuple[object, ...], list[CheckedRun]] = {}
    for document in sorted(checked):
        run = checked[document]
        if (
            run.run.long_form is not None
        ):  # its horizons are relative to a control, which may be among the runs
            run = check_run(run.folder, controls)
        groups.setdefault(_same_clips(run.run), []).append(run)
    compared = [run for group in groups.values() for run in check_together(group)]
    refused += [_refused(run) for run in compared if run.contradictions]
    shown = [run for run in compared if not run.contradictions]
    return shown, sorted(refused, key=lambda one: str(one.folder))


def _same_clips(run: Run) -> tuple[object, ...]:
    return (run.protocol.sha256, run.dataset.cases_sha256, run.limit or 0, run.max_frames or 0)


def _refused(run: CheckedRun) -> RefusedRun:
    return RefusedRun(run.folder, tuple(map(str, run.contradictions)))


def _has_run(folder: Path) -> bool:
    try:
        return (folder / "run.json").is_symlink() or (folder / "run.json").exists()
    except OSError:
        return True


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if child.is_dir() and child.name[0] != ".")
    except OSError as error:
        raise ResultError(f"{folder}: not readable ({error.strerror}): change its permissions") from error
