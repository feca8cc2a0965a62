"""Fetch weight files: each is checked before it gets its name, and two processes never fetch the same one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from talkingpose.weights.download import discard, download, require_space
from talkingpose.weights.errors import UnreachableError, WeightsError
from talkingpose.weights.folder import (
    check,
    hash_file,
    judge,
    known_of,
    read_record,
    weights_folder,
    write_record,
)
from talkingpose.weights.lock import WeightFile, pick


@dataclass(frozen=True)
class FetchListener:
    """What hears of a fetch: remarks of one line; id, bytes so far, bytes in all (None: unknown)."""

    say: Callable[[str], None] = lambda line: None
    on_progress: Callable[[str, int, int | None], None] = lambda file_id, done, total: None


@dataclass(frozen=True)
class FetchedWeights:
    """What became of one file: `error` is None where it is here and checked."""

    id: str
    path: Path
    downloaded: bool
    error: WeightsError | None


def fetch(
    ids: Sequence[str],
    dest: str | os.PathLike[str] | None = None,
    *,
    accept_licence: bool = False,
    listener: FetchListener | None = None,
    lock: Path | None = None,
) -> list[FetchedWeights]:
    """Fetch files that are not here yet; one that is damaged is fetched again.

    Args:
        ids: of the lock file.
        dest: folder, as `weights_folder` takes it.
        accept_licence: the user agrees to licences that forbid commercial use.
        listener: hears of remarks and progress.
        lock: another lock file than the project's.

    Returns:
        one entry per id, in order; one that could not be fetched carries its error and stops no other.

    Raises:
        WeightsError: before anything is fetched: an id is unknown, a licence was not accepted, the folder
            cannot be written or has no room.
    """
    listener = listener or FetchListener()
    entries = pick(ids, lock)
    folder = weights_folder(dest)
    lacking = [entry for entry in entries if not _is_here(entry, folder)]
    refused = [entry for entry in lacking if entry.commercial == "no"]
    if refused and not accept_licence:
        terms = "; ".join(f"{entry.id}: {entry.licence}" for entry in refused)
        raise WeightsError(f"{terms}: if these terms suit you, give --accept-licence")
    _prepare(folder, lacking)
    return [
        _fetch_one(entry, folder, listener)
        if entry in lacking
        else FetchedWeights(entry.id, folder / entry.file, downloaded=False, error=None)
        for entry in entries
    ]


def _prepare(folder: Path, lacking: Sequence[WeightFile]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be made ({error.strerror}): give another --dest") from error
    if not lacking:
        return
    if not os.access(folder, os.W_OK):
        raise WeightsError(f"{folder}: cannot be written: give another --dest")
    held = sum(part.stat().st_size for part in (_part(entry, folder) for entry in lacking) if part.is_file())
    require_space(folder, sum(entry.size or 0 for entry in lacking) - held)


def _is_here(entry: WeightFile, folder: Path) -> bool:
    return check(entry, folder).state in ("present", "verified")


def _fetch_one(entry: WeightFile, folder: Path, listener: FetchListener) -> FetchedWeights:
    path = folder / entry.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(path, entry, listener):
            if _is_here(entry, folder):  # another process was faster
                return FetchedWeights(entry.id, path, downloaded=False, error=None)
            _from_any_address(entry, folder, listener)
    except OSError as error:
        problem = WeightsError(f"{entry.id}: {path.parent}: cannot be written ({error.strerror})")
        return FetchedWeights(entry.id, path, downloaded=False, error=problem)
    except WeightsError as error:
        return FetchedWeights(entry.id, path, downloaded=False, error=error)
    return FetchedWeights(entry.id, path, downloaded=True, error=None)


@contextmanager
def _only_one(path: Path, entry: WeightFile, listener: FetchListener) -> Iterator[None]:
    """Hold a lock that the system takes back when its process dies, however it dies."""
    import filelock

    guard = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        guard.acquire(timeout=0)
    except filelock.Timeout:
        listener.say(f"{entry.id}: another process fetches it: waiting")
        guard.acquire()
    try:
        yield
    finally:
        guard.release()


def _from_any_address(entry: WeightFile, folder: Path, listener: FetchListener) -> None:
    listener.say(_announcement(entry))
    problems: list[WeightsError] = []
    for address in entry.addresses:
        try:
            _from(address, entry, folder, listener)
            return
        except WeightsError as error:
            problems.append(error)
    reasons = "; ".join(map(str, problems))
    if all(isinstance(problem, UnreachableError) for problem in problems):
        raise UnreachableError(f"{entry.id}: {reasons}: {_by_hand(entry, folder)}")
    raise WeightsError(f"{entry.id}: not fetched: {reasons}")


def _from(address: str, entry: WeightFile, folder: Path, listener: FetchListener) -> None:
    def bring() -> bool:
        return download(
            address,
            _part(entry, folder),
            size=entry.size,
            on_progress=lambda done, total: listener.on_progress(entry.id, done, total),
        )

    in_one_piece = bring()
    try:
        _admit(entry, folder, listener)
    except WeightsError:
        if in_one_piece:
            raise
        # The earlier part may have been bad; _admit has removed it, so this one is whole unless cut again.
        bring()
        _admit(entry, folder, listener)


def _admit(entry: WeightFile, folder: Path, listener: FetchListener) -> None:
    """Give a finished part file its name if it is what it should be; else remove it."""
    path, part = folder / entry.file, _part(entry, folder)
    size = part.stat().st_size
    sha256 = hash_file(part)
    state, detail = judge(entry, sha256, read_record(path))
    if entry.size is not None and size != entry.size:
        state, detail = "damaged", f"{size:,} bytes, it should be {entry.size:,}"
    if state == "damaged":
        discard(part)
        raise WeightsError(f"what came is not the file ({detail}): not kept")
    part.replace(path)
    discard(part)
    write_record(path, sha256)
    if state == "present":
        listener.say(f"{entry.id}: {known_of(entry)}: {sha256}")


def _announcement(entry: WeightFile) -> str:
    size = f"{entry.size / 1e6:,.1f} MB" if entry.size else "size unknown"
    return f"{entry.id}: {size}; licence: {entry.licence}"


def _by_hand(entry: WeightFile, folder: Path) -> str:
    place = folder / entry.file
    return (
        f"fetch it where there is a network (tp-eval weights fetch {entry.id} --dest FOLDER, or "
        f"{entry.address}) and copy it to {shlex.quote(str(place))}"
    )


def _part(entry: WeightFile, folder: Path) -> Path:
    path = folder / entry.file
    return path.with_name(f".{path.name}.part")
