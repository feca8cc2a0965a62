"""The folder of a run: what lies where, who may write, what counts as done."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.errors import EvaluationError
from benchmark.results import CaseResult, ResultError, Run, read_case, read_run, write_document

_RESULTS = (
    ("cases", ".json"),
    ("frames", ".parquet"),
    ("videos", ".mp4"),
    ("features", ".npz"),
    ("lossless", ".mp4"),
)
_LOCK = ".lock"
_DRAFTS = ".partial"
_RUN = "run.json"


class RunDir:
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

    def lossless(self, clip_id: str) -> Path:
        """The frames of a case as they were generated, where they are kept."""
        return self.path / "lossless" / f"{clip_id}.mp4"

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
            ours = {_DRAFTS, *(name for name, _ in _RESULTS)}
            inside = [p for p in self.path.iterdir() if p.name not in ours and not _is_draft(p)]
            foreign = [p.name for p in inside if not p.name.startswith(_LOCK)]
            if foreign:
                raise EvaluationError(
                    f"--out {self.path}: holds {sorted(foreign)[0]} and no run: choose a new or empty folder"
                )

    @contextmanager
    def locked(self, shard: tuple[int, int] | None = None) -> Iterator[None]:
        """Create the folder and keep every other process out of it; the lock ends with the process.

        With `shard`, which of how many, other shards may work beside this one.

        Raises:
            EvaluationError: another process is at work in it, or it cannot be created.
        """
        name = None if shard is None else f"{shard[0]}-of-{shard[1]}"
        try:
            for folder in (self.path, *(self.path / name for name, _ in _RESULTS)):
                folder.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as locks:
                self._lock(locks, _LOCK, fcntl.LOCK_EX if name is None else fcntl.LOCK_SH)
                if name is None:
                    self._remove_drafts()
                else:
                    self._lock(locks, f"{_LOCK}-{name}", fcntl.LOCK_EX)
                    self.drafts = self.path / _DRAFTS / name
                    shutil.rmtree(self.drafts, ignore_errors=True)
                self.drafts.mkdir(parents=True)
                stack = locks.pop_all()
        except OSError as error:
            raise EvaluationError(
                f"--out {self.path}: cannot be written ({error.strerror}): choose another"
            ) from error
        with stack:
            try:
                yield
            finally:
                shutil.rmtree(self.drafts, ignore_errors=True)
                with contextlib.suppress(OSError):  # gone, or another shard is at work beside this one
                    (self.path / _DRAFTS).rmdir()

    @contextmanager
    def updating(self, shard: tuple[int, int] | None) -> Iterator[None]:
        """Read and write `run.json` while no other shard does; waits for its turn."""
        if shard is None:
            yield
            return
        with (self.path / f"{_LOCK}-run").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _lock(self, locks: contextlib.ExitStack, name: str, kind: int) -> None:
        file = locks.enter_context((self.path / name).open("w"))
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            raise EvaluationError(
                f"--out {self.path}: another tp-eval is at work in it: wait, or choose another folder"
            ) from error

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

    def finished(self, clip_id: str, key: str, *, with_frames: bool = False) -> CaseResult | None:
        """The case if it is done under this key, with its files; None where it is still to do.

        `with_frames` asks for the frames without loss, too.
        """
        path = self.case(clip_id)
        if not path.exists():
            return None
        try:
            case = read_case(path)
        except ResultError:
            return None  # not whole, so not done: it is generated again
        beside = [file.path for file in (case.video, case.features, case.lossless) if file is not None]
        if with_frames and case.lossless is None:
            return None
        whole = self.frames(clip_id).exists() and all((self.path / name).exists() for name in beside)
        return case if case.key == key and whole else None

    def _remove_drafts(self) -> None:
        shutil.rmtree(self.path / _DRAFTS, ignore_errors=True)
        for folder in (self.path, self.path / "cases"):
            for path in folder.iterdir():
                if _is_draft(path):
                    path.unlink()


def _is_draft(path: Path) -> bool:
    """Tell the temporary files of an interrupted `write_document`; older versions named them `.NAME.tmp`."""
    return path.name.startswith(".") and (".part" in path.name or path.name.endswith(".tmp"))
