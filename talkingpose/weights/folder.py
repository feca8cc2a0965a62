"""Weights folder: location of the weight files and comparison with the lock file.

`FILE.sha256`, in the format of `sha256sum`, records the hash of a verified file. A file that is older than
its record is not read again. For a file without a published hash, the recorded hash is the reference. In a
folder that is not writable, files without a record are read by every process.
"""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from talkingpose.io.atomic import write_text
from talkingpose.io.documents import DocumentError, read_text
from talkingpose.io.progress import SILENT, Progress
from talkingpose.weights.errors import WeightsError
from talkingpose.weights.lock import WeightFile, pick, read_lock

VARIABLE = "TALKINGPOSE_WEIGHTS"
# Files of the package; LICENSES.md beside them.
BUNDLED = Path(__file__).with_name("bundled")

State = Literal["missing", "present", "verified", "damaged"]

# A record is trusted for a file last written this much earlier, because file system clocks are coarse.
_SETTLED_NS = 2_000_000_000
_CHUNK = 1 << 20


@dataclass(frozen=True)
class WeightStatus:
    """State of one file of the lock file.

    Attributes:
        state: `missing`; `present`: consistent with what is published; `verified`: its SHA-256 is that of the
            lock file; `damaged`: another content.
        path: location of the file, also if missing.
        detail: reason why it is not `verified`, else empty.
        sha256: hash in hex, None if unknown.
    """

    id: str
    state: State
    path: Path
    detail: str
    sha256: str | None


def weights_folder(dest: str | os.PathLike[str] | None = None) -> Path:
    """Return the weights folder: `dest`, else $TALKINGPOSE_WEIGHTS, else the user's cache folder."""
    named = dest or os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    # Respected on macOS too, where platformdirs would ignore it.
    cache = os.environ.get("XDG_CACHE_HOME")
    if cache and Path(cache).is_absolute():
        return Path(cache) / "talkingpose" / "weights"
    import platformdirs

    return platformdirs.user_cache_path("talkingpose", appauthor=False) / "weights"


def find(
    file_id: str,
    *,
    needed_by: str = "metric",
    folder: str | os.PathLike[str] | None = None,
    lock: Path | None = None,
) -> Path:
    """Return the path of a verified weight file: that of the folder, else the bundled one. Never downloads.

    Args:
        file_id: id in the lock file.
        needed_by: metric or model that needs it, for messages.
        folder: as in `weights_folder`.
        lock: lock file, by default the project's.

    Raises:
        WeightsError: the file is missing or damaged; the message names the command that fetches it.
    """
    (entry,) = pick([file_id], lock)
    status = available(entry, full_status(entry, weights_folder(folder)))
    accept = " --accept-licence" if entry.commercial == "no" else ""
    command = f"tp-eval weights fetch {file_id}{accept}"
    if status.state == "missing":
        raise WeightsError(f"{needed_by} needs {file_id}: missing: {command}")
    if status.state == "damaged":
        raise WeightsError(f"{needed_by} needs {file_id}: {status.detail}: {command}")
    return status.path


def status(
    file_id: str, *, folder: str | os.PathLike[str] | None = None, lock: Path | None = None
) -> WeightStatus:
    """Return the state of a file from its size and record, without reading it.

    Raises:
        WeightsError: there is no such id.
    """
    (entry,) = pick([file_id], lock)
    return available(entry, quick_status(entry, weights_folder(folder)))


def verify(
    ids: Sequence[str] = (),
    *,
    folder: str | os.PathLike[str] | None = None,
    lock: Path | None = None,
    progress: Progress = SILENT,
) -> list[WeightStatus]:
    """Read files and compare their hashes.

    Args:
        ids: ids of the lock file; all if empty.
        folder: as in `weights_folder`.
        lock: lock file, by default the project's.
        progress: receives bytes for each file.

    Raises:
        WeightsError: there is no such id, or a file cannot be read.
    """
    entries = pick(ids, lock) if ids else list(read_lock(lock).values())
    location = weights_folder(folder)
    return [
        available(entry, full_status(entry, location, trust_record=False, progress=progress))
        for entry in entries
    ]


def available(entry: WeightFile, found: WeightStatus) -> WeightStatus:
    """Return the state of the bundled file where the weights folder has none, else `found`.

    Raises:
        WeightsError: the bundled file cannot be read.
    """
    if found.state != "missing" or entry.bundled is None:
        return found
    path = BUNDLED / entry.bundled
    if not path.is_file():
        return found
    sha256 = _bundled_hash(path)
    if sha256 != entry.bundled_sha256:
        detail = f"{path}: SHA-256 is {sha256}, expected {entry.bundled_sha256}"
        return WeightStatus(entry.id, "damaged", path, detail, sha256)
    return WeightStatus(entry.id, "verified", path, "", sha256)


@functools.cache
def _bundled_hash(path: Path) -> str:
    return hash_file(path)


def quick_status(entry: WeightFile, folder: Path) -> WeightStatus:
    """Compare size and record of a file, without reading it."""
    path = folder / entry.file
    state: State
    if not path.is_file():
        state, detail, sha256 = "missing", "missing", None
    elif problem := size_mismatch(entry, path.stat().st_size):
        state, detail, sha256 = "damaged", problem, None
    else:
        sha256 = _trusted_record(path)
        state, detail = ("present", "not read yet") if sha256 is None else compare_hash(entry, sha256, sha256)
    return WeightStatus(entry.id, state, path, detail, sha256)


def full_status(
    entry: WeightFile, folder: Path, *, trust_record: bool = True, progress: Progress = SILENT
) -> WeightStatus:
    """Compare the hash of a file, reading it unless its record is trusted.

    Raises:
        WeightsError: the file cannot be read.
    """
    quick = quick_status(entry, folder)
    if quick.state in ("missing", "damaged") and quick.sha256 is None:
        return quick
    if trust_record and quick.state != "damaged" and quick.sha256 is not None:
        return quick
    recorded = read_record(quick.path)
    progress.start(entry.id, quick.path.stat().st_size, "B")
    sha256 = hash_file(quick.path, progress.advance)
    state, detail = compare_hash(entry, sha256, recorded)
    if state != "damaged":
        with suppress(OSError):  # a shared folder may be read-only
            write_record(quick.path, sha256)
    return WeightStatus(entry.id, state, quick.path, detail, sha256)


def compare_hash(entry: WeightFile, sha256: str, recorded: str | None) -> tuple[State, str]:
    """Return the state of a file, and the reason if it is not `verified`.

    Args:
        entry: expected file.
        sha256: hash of the file.
        recorded: hash recorded at the first fetch, None without a record.
    """
    if entry.sha256 is not None:
        if sha256 == entry.sha256:
            return "verified", ""
        return "damaged", f"SHA-256 is {sha256}, expected {entry.sha256}"
    if not sha256.startswith(entry.sha256_prefix or ""):
        return "damaged", f"SHA-256 is {sha256}, expected to begin with {entry.sha256_prefix}"
    if recorded is not None and recorded != sha256:
        return "damaged", (
            f"SHA-256 is {sha256}, recorded at the first fetch: {recorded} "
            f"(remove {entry.name}.sha256 if the change is intended)"
        )
    return "present", partial_check(entry)


def partial_check(entry: WeightFile) -> str:
    """Describe how far a file without a published hash can be checked."""
    known = [
        name
        for name, value in (("size", entry.size), ("first digits of the hash", entry.sha256_prefix))
        if value is not None
    ]
    basis = f"checked by {' and '.join(known)} only" if known else "cannot be checked"
    return f"{basis} ({entry.unverified}); later by the hash recorded at the first fetch"


def size_mismatch(entry: WeightFile, size: int) -> str | None:
    """Describe a wrong size; None if it is right or unknown."""
    if entry.size is None or size == entry.size:
        return None
    return f"{size:,} bytes, expected {entry.size:,}"


def hash_file(path: Path, on_bytes: Callable[[int], None] = lambda count: None) -> str:
    """Return the SHA-256 of a file in hex; `on_bytes` receives the size of each piece.

    Raises:
        WeightsError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                on_bytes(len(chunk))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def read_record(path: Path) -> str | None:
    """Return the hash in `FILE.sha256`, None without a valid record."""
    try:
        words = read_text(_record(path), "record", 1024).split()
    except DocumentError:
        return None
    valid = len(words) == 2 and words[1].lstrip("*") == path.name and len(words[0]) == 64
    return words[0].lower() if valid else None


def write_record(path: Path, sha256: str) -> None:
    """Write `FILE.sha256` atomically.

    Raises:
        OSError: the folder is not writable.
    """
    write_text(_record(path), f"{sha256}  {path.name}\n")


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _trusted_record(path: Path) -> str | None:
    """Return the record of a file that has not been written since, nor just before."""
    sha256 = read_record(path)
    if sha256 is None:
        return None
    stat = path.stat()
    # A copy that preserves the modification time still updates the change time.
    written, recorded = max(stat.st_mtime_ns, stat.st_ctime_ns), _record(path).stat().st_mtime_ns
    return sha256 if written + _SETTLED_NS < recorded <= time.time_ns() else None
