"""Fetching of weight files: verified before they get their name, and by one process at a time."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from talkingpose.io.progress import SILENT, Progress
from talkingpose.weights.download import download, require_space
from talkingpose.weights.errors import UnreachableError, WeightsError
from talkingpose.weights.folder import (
    compare_hash,
    full_status,
    hash_file,
    partial_check,
    read_record,
    size_mismatch,
    weights_folder,
    write_record,
)
from talkingpose.weights.lock import WeightFile, pick


@dataclass(frozen=True)
class FetchedWeights:
    """Result for one file; `error` is None if the file is present and verified."""

    id: str
    path: Path
    downloaded: bool
    error: WeightsError | None


def fetch(
    ids: Sequence[str],
    dest: str | os.PathLike[str] | None = None,
    *,
    accept_licence: bool = False,
    progress: Progress = SILENT,
    lock: Path | None = None,
) -> list[FetchedWeights]:
    """Fetch files that are missing or damaged. An interrupted download is resumed.

    Args:
        ids: ids of the lock file.
        dest: folder, as in `weights_folder`.
        accept_licence: agree to licences that forbid commercial use.
        progress: receives messages, and bytes for each file.
        lock: lock file, by default the project's.

    Returns:
        One entry per id, in order. A file that cannot be fetched does not stop the others.

    Raises:
        WeightsError: before any download: an id is unknown, a licence was not accepted, or the folder is not
            writable or too full.
    """
    entries = pick(ids, lock)
    folder = weights_folder(dest)
    missing = [entry for entry in entries if not _is_present(entry, folder)]
    restricted = [entry for entry in missing if entry.commercial == "no"]
    if restricted and not accept_licence:
        terms = "; ".join(f"{entry.id}: {entry.licence}" for entry in restricted)
        raise WeightsError(f"{terms}: to accept these terms, give --accept-licence")
    _prepare(folder, missing)
    return [
        _fetch_one(entry, folder, progress)
        if entry in missing
        else FetchedWeights(entry.id, folder / entry.file, downloaded=False, error=None)
        for entry in entries
    ]


def _prepare(folder: Path, missing: Sequence[WeightFile]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be created ({error.strerror}): give another --dest") from error
    if not missing:
        return
    if not os.access(folder, os.W_OK):
        raise WeightsError(f"{folder}: not writable: give another --dest")
    held = sum(part.stat().st_size for entry in missing if (part := _part(entry, folder)).is_file())
    require_space(folder, sum(entry.known_size or 0 for entry in missing) - held)


def _is_present(entry: WeightFile, folder: Path) -> bool:
    return full_status(entry, folder).state in ("present", "verified")


def _fetch_one(entry: WeightFile, folder: Path, progress: Progress) -> FetchedWeights:
    path = folder / entry.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, entry, progress):
            if _is_present(entry, folder):  # another process has fetched it
                return FetchedWeights(entry.id, path, downloaded=False, error=None)
            _fetch_from_any(entry, folder, progress)
    except OSError as error:
        problem = WeightsError(f"{entry.id}: {path.parent}: not writable ({error.strerror})")
        return FetchedWeights(entry.id, path, downloaded=False, error=problem)
    except WeightsError as error:
        return FetchedWeights(entry.id, path, downloaded=False, error=error)
    return FetchedWeights(entry.id, path, downloaded=True, error=None)


@contextmanager
def _locked(path: Path, entry: WeightFile, progress: Progress) -> Iterator[None]:
    """Hold a file lock that the system releases when the process ends."""
    import filelock

    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        progress.message(f"{entry.id}: another process is fetching it: waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch_from_any(entry: WeightFile, folder: Path, progress: Progress) -> None:
    size = f"{entry.known_size / 1e6:,.1f} MB" if entry.known_size else "unknown size"
    progress.message(f"{entry.id}: {size}; licence: {entry.licence}")
    errors: list[WeightsError] = []
    for url in entry.addresses:
        try:
            _fetch_from(url, entry, folder, progress)
            return
        except WeightsError as error:
            errors.append(error)
    reasons = "; ".join(map(str, errors))
    if all(isinstance(error, UnreachableError) for error in errors):
        raise UnreachableError(
            f"{entry.id}: {reasons}: fetch it on a machine with network (tp-eval weights fetch {entry.id} "
            f"--dest FOLDER, or {entry.address}) and copy it to {shlex.quote(str(folder / entry.file))}"
        )
    raise WeightsError(f"{entry.id}: not fetched: {reasons}")


def _fetch_from(url: str, entry: WeightFile, folder: Path, progress: Progress) -> None:
    def bring(*, resume: bool) -> bool:
        part = _part(entry, folder)
        return download(url, part, size=entry.size, resume=resume, label=entry.id, progress=progress)

    # Without a published hash nothing would detect a file made of two versions.
    resumed = bring(resume=entry.sha256 is not None)
    try:
        _install(entry, folder, progress)
    except WeightsError:
        if not resumed:
            raise
        bring(resume=False)
        _install(entry, folder, progress)


def _install(entry: WeightFile, folder: Path, progress: Progress) -> None:
    """Verify a downloaded file and rename it; delete it if it is damaged."""
    path, part = folder / entry.file, _part(entry, folder)
    sha256 = hash_file(part)
    state, detail = compare_hash(entry, sha256, read_record(path))
    if wrong_size := size_mismatch(entry, part.stat().st_size):
        state, detail = "damaged", wrong_size
    if state == "damaged":
        part.unlink()
        raise WeightsError(f"the downloaded file is not the expected one ({detail})")
    part.replace(path)
    write_record(path, sha256)
    if state == "present":
        progress.message(f"{entry.id}: {partial_check(entry)}: {sha256}")


def _part(entry: WeightFile, folder: Path) -> Path:
    path = folder / entry.file
    return path.with_name(f".{path.name}.part")
