"""The folder of a run: what lies where, who may write, what counts as done."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.errors import EvaluationError
from benchmark.results import Case, ResultError, Run, read_case, read_run, write_document

_RESULTS = (("cases", ".json"), ("frames", ".parquet"), ("videos", ".mp4"), ("features", ".npz"))
_LOCK = ".lock"
_DRAFTS = ".partial"
_RUN = "run.json"


class RunFolder:
    """Paths of a run; use it inside `locked`.

    A case is done when `cases/CLIP.json` is there; its frames file and its video were put in their places
    before. Whatever is being written lies in `.partial` until it is whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.drafts = path / _DRAFTS

    def case(self, clip_id: str) -> Path:
        """The document of a case."""
        return self.path / "cases" / f"{clip_id}.json"

    def frames(self, clip_id: str) -> Path:
        """The per-frame scores of a case."""
        return self.path / "frames" / f"{clip_id}.parquet"

    def features(self, clip_id: str) -> Path:
        """What metrics of all clips together are computed from, of one case."""
        return self.path / "features" / f"{clip_id}.npz"

    def video(self, clip_id: str) -> Path:
        """The generated video of a case."""
        return self.path / "videos" / f"{clip_id}.mp4"

    def check(self) -> None:
        """Refuse a place that cannot become this folder, without touching it.

        Raises:
            EvaluationError: it is no folder, cannot be written, or holds other things than a run.
        """
        ancestor = next(p for p in (self.path.absolute(), *self.path.absolute().parents) if p.exists())
        if not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
            raise EvaluationError(
                f"--out {self.path}: {ancestor} is no folder that can be written: choose another"
            )
        if self.path.is_dir() and not (self.path / _RUN).exists():
            ours = {_LOCK, _DRAFTS, *(name for name, _ in _RESULTS)}
            foreign = [p.name for p in self.path.iterdir() if p.name not in ours and not _is_draft(p)]
            if foreign:
                raise EvaluationError(
                    f"--out {self.path}: holds {sorted(foreign)[0]} and no run: choose a new or empty folder"
                )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and keep every other process out of it; the lock ends with the process.

        Raises:
            EvaluationError: another process is at work in it, or it cannot be created.
        """
        try:
            for folder in (self.path, *(self.path / name for name, _ in _RESULTS)):
                folder.mkdir(parents=True, exist_ok=True)
            lock = (self.path / _LOCK).open("w")
        except OSError as error:
            raise EvaluationError(
                f"--out {self.path}: cannot be written ({error.strerror}): choose another"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise EvaluationError(
                    f"--out {self.path}: another tp-eval is at work in it: wait, or choose another folder"
                ) from error
            self._remove_drafts()
            self.drafts.mkdir()
            try:
                yield
            finally:
                shutil.rmtree(self.drafts, ignore_errors=True)

    def clear(self) -> None:
        """Remove what a run consists of, and nothing else."""
        (self.path / _RUN).unlink(missing_ok=True)
        for name, suffix in _RESULTS:
            for path in (self.path / name).glob(f"*{suffix}"):
                path.unlink()

    def run(self) -> Run | None:
        """What the folder says it holds, None where there is no `run.json`."""
        return read_run(self.path) if (self.path / _RUN).exists() else None

    def write_run(self, run: Run) -> None:
        """Write `run.json`."""
        write_document(run, self.path / _RUN)

    def finished(self, clip_id: str, key: str) -> Case | None:
        """The case if it is done under this key, with its files; None where it is still to do."""
        path = self.case(clip_id)
        if not path.exists():
            return None
        try:
            case = read_case(path)
        except ResultError:
            return None  # not whole, so not done: it is generated again
        beside = [file.path for file in (case.video, case.features) if file is not None]
        whole = self.frames(clip_id).exists() and all((self.path / name).exists() for name in beside)
        return case if case.key == key and whole else None

    def _remove_drafts(self) -> None:
        if self.drafts.exists():
            shutil.rmtree(self.drafts)
        for folder in (self.path, self.path / "cases"):
            for path in folder.iterdir():
                if _is_draft(path):
                    path.unlink()


def _is_draft(path: Path) -> bool:
    """Whether `write_document` was stopped while it wrote this file."""
    return path.name.startswith(".") and path.name.endswith(".tmp")
