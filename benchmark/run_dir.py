"""Folder of a run: paths, locks, and which cases are finished."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

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
# Shard and worker in the name of a lock, as `_part` writes them; either may be missing.
_PART = re.compile(r"(?:(\d+)-of-(\d+))?-?(?:worker-(\d+)-of-(\d+))?")
# Longest wait of a shard for another one that is just starting, in seconds.
_SHARD_WAIT_S = 2.0

Part = tuple[int, int]


class RunDir:
    """Paths of a run. Write inside `locked` only.

    A case is finished when `cases/CLIP.json` exists; its frame scores and its video are moved to their places
    before. Unfinished files are in `.partial`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.drafts = path / _DRAFTS

    def case(self, clip_id: str) -> Path:
        """Return the path of the document of a case."""
        return self.path / "cases" / f"{clip_id}.json"

    def frames(self, clip_id: str) -> Path:
        """Return the path of the frame scores of a case."""
        return self.path / "frames" / f"{clip_id}.parquet"

    def features(self, clip_id: str) -> Path:
        """Return the path of the features of a case, which metrics over all clips are computed from."""
        return self.path / "features" / f"{clip_id}.npz"

    def video(self, clip_id: str) -> Path:
        """Return the path of the generated video of a case."""
        return self.path / "videos" / f"{clip_id}.mp4"

    def lossless(self, clip_id: str) -> Path:
        """Return the path of the generated frames of a case, stored without loss."""
        return self.path / "lossless" / f"{clip_id}.mp4"

    def check(self) -> None:
        """Check that this can be the folder of a run, without writing.

        Raises:
            EvaluationError: it is not a folder, cannot be written, or holds other files.
        """
        ancestor = next(p for p in (self.path.absolute(), *self.path.absolute().parents) if p.exists())
        if not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
            raise EvaluationError(f"--out {self.path}: {ancestor} is not a writable folder: choose another")
        if self.path.is_dir() and not (self.path / _RUN).exists():
            ours = {_DRAFTS, *(name for name, _ in _RESULTS)}
            inside = [p for p in self.path.iterdir() if p.name not in ours and not _is_draft(p)]
            foreign = [p.name for p in inside if not p.name.startswith(_LOCK)]
            if foreign:
                raise EvaluationError(
                    f"--out {self.path}: holds {sorted(foreign)[0]}, and no run: choose a new or empty folder"
                )

    @contextmanager
    def locked(self, shard: Part | None = None, worker: Part | None = None) -> Iterator[None]:
        """Create the folder and lock it; the lock ends with the process.

        Args:
            shard: (index, count) of this process; other shards may work at the same time.
            worker: (index, count) of this process among those of the shard, which work at the same time.

        Raises:
            EvaluationError: another process works in the folder, or it cannot be created.
        """
        name = _part(shard, worker)
        try:
            for folder in (self.path, *(self.path / name for name, _ in _RESULTS)):
                folder.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as stack:
                if name is None:
                    stack.enter_context(self._lock(_LOCK))
                    self._check_others(shard, worker)
                    self._remove_drafts()
                else:
                    # Held only until the lock of the shard is: a run without shards holds it to its end.
                    with self._lock(_LOCK, timeout_s=_SHARD_WAIT_S):
                        stack.enter_context(self._lock(f"{_LOCK}-{name}"))
                        self._check_others(shard, worker)
                    self.drafts = self.path / _DRAFTS / name
                    shutil.rmtree(self.drafts, ignore_errors=True)
                self.drafts.mkdir(parents=True)
                locks = stack.pop_all()
        except OSError as error:
            raise EvaluationError(
                f"--out {self.path}: cannot be written ({error.strerror}): choose another"
            ) from error
        with locks:
            try:
                yield
            finally:
                shutil.rmtree(self.drafts, ignore_errors=True)
                with contextlib.suppress(OSError):  # deleted, or another shard is at work
                    (self.path / _DRAFTS).rmdir()

    def remove_drafts_of(self, shard: Part | None, worker: Part) -> None:
        """Delete the unfinished files of a worker that was killed."""
        shutil.rmtree(self.path / _DRAFTS / str(_part(shard, worker)), ignore_errors=True)
        with contextlib.suppress(OSError):
            (self.path / _DRAFTS).rmdir()

    @contextmanager
    def updating(self, is_alone: bool) -> Iterator[None]:
        """Read and write `run.json` while no other process does; waits for them unless there are none."""
        if is_alone:
            yield
            return
        with FileLock(self.path / f"{_LOCK}-run"):
            yield

    def _lock(self, name: str, timeout_s: float = 0) -> AcquireReturnProxy[FileLock]:
        """Acquire a lock; it is released at the end of a `with` block."""
        try:
            return FileLock(self.path / name).acquire(timeout=timeout_s)
        except Timeout as error:
            raise EvaluationError(
                f"--out {self.path}: another tp-eval is at work in it: wait, or choose another folder"
            ) from error

    def _check_others(self, shard: Part | None, worker: Part | None) -> None:
        """Check that no process divides the work in another way; delete unfinished files of such a division.

        Raises:
            EvaluationError: another number of shards or workers is at work.
        """
        for path in self.path.glob(f"{_LOCK}-*-of-*"):
            part = path.name.removeprefix(f"{_LOCK}-")
            if part != _part(shard, worker) and not _works_beside(part, shard, worker):
                with self._lock(path.name):
                    shutil.rmtree(self.path / _DRAFTS / part, ignore_errors=True)

    def clear(self) -> None:
        """Delete the files of the run, and no others."""
        (self.path / _RUN).unlink(missing_ok=True)
        for name, suffix in _RESULTS:
            for path in (self.path / name).glob(f"*{suffix}"):
                path.unlink()

    def run(self) -> Run | None:
        """Read `run.json`; None if there is none."""
        return read_run(self.path) if (self.path / _RUN).exists() else None

    def write_run(self, run: Run) -> None:
        """Write `run.json`."""
        write_document(run, self.path / _RUN)

    def finished(self, clip_id: str, key: str, *, with_frames: bool = False) -> CaseResult | None:
        """Return a case that is finished under this key, with all its files, else None.

        Args:
            clip_id: id of the clip.
            key: hash over everything that its numbers depend on.
            with_frames: whether the frames must be stored without loss, too.
        """
        path = self.case(clip_id)
        if not path.exists():
            return None
        try:
            case = read_case(path)
        except ResultError:
            return None  # incomplete: it is generated again
        beside = [file.path for file in (case.video, case.features, case.lossless) if file is not None]
        if with_frames and case.lossless is None:
            return None
        whole = self.frames(clip_id).exists() and all((self.path / name).exists() for name in beside)
        return case if case.key == key and whole else None

    def _remove_drafts(self) -> None:
        shutil.rmtree(self.path / _DRAFTS, ignore_errors=True)
        for folder in (self.path, *(self.path / name for name, _ in _RESULTS)):
            for path in folder.iterdir():
                if _is_draft(path) and path.is_file():
                    path.unlink()


def _works_beside(part: str, shard: Part | None, worker: Part | None) -> bool:
    """Tell whether another part of the work has no batch in common with that of a shard and worker."""
    found = _PART.fullmatch(part)
    if found is None:
        return False
    of_shard, of_worker = (
        (int(index), int(count)) if index else None for index, count in (found.group(1, 2), found.group(3, 4))
    )
    if of_shard != shard:
        return of_shard is not None and shard is not None and of_shard[1] == shard[1]
    return of_worker is not None and worker is not None and of_worker[1] == worker[1]


def _part(shard: Part | None, worker: Part | None) -> str | None:
    """Return the name of the locks and drafts of a process; None for one that works alone."""
    names = [] if shard is None else [f"{shard[0]}-of-{shard[1]}"]
    names += [] if worker is None else [f"worker-{worker[0]}-of-{worker[1]}"]
    return "-".join(names) or None


def seed_folders(path: Path) -> list[Path]:
    """Return the runs of a folder that `tp-eval --seeds` wrote, by seed; empty for a single run."""
    if (path / "run.json").exists() or not path.is_dir():
        return []
    found = [entry for entry in path.glob("seed-*") if entry.name[5:].isdecimal()]
    return sorted(
        (entry for entry in found if (entry / "run.json").is_file()), key=lambda entry: int(entry.name[5:])
    )


def _is_draft(path: Path) -> bool:
    """Tell the temporary files of an interrupted `write_document`; older versions named them `.NAME.tmp`."""
    return path.name.startswith(".") and (".part" in path.name or path.name.endswith(".tmp"))
