"""The weights folder: where files lie, and whether each is what the lock file says.

Beside a checked file lies `FILE.sha256`, in the format of `sha256sum`: the hash of the file as it was then.
A file older than it is not read again; for a file whose hash nobody has published it is the hash to compare
with. A folder that cannot be written is fine: then files without such a record are read in every process.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from talkingpose.weights.errors import WeightsError
from talkingpose.weights.lock import WeightFile, pick, read_lock

VARIABLE = "TALKINGPOSE_WEIGHTS"

State = Literal["missing", "present", "verified", "damaged"]

# A record is believed for a file that was last written this much earlier: clocks of file systems are coarse.
_SETTLED_NS = 2_000_000_000
_CHUNK = 1 << 20


@dataclass(frozen=True)
class WeightStatus:
    """One file of the lock file and what there is of it.

    Attributes:
        state: `missing`; `present`: there, not contradicted by what is known; `verified`: its SHA-256 is that
            of the lock file; `damaged`: it is another file.
        path: where it lies or would lie.
        detail: why it is not `verified`; empty where it is.
        sha256: of the file, in hex; None where it was not read.
    """

    id: str
    state: State
    path: Path
    detail: str
    sha256: str | None


def weights_folder(dest: str | os.PathLike[str] | None = None) -> Path:
    """Where weight files lie: `dest`, else what TALKINGPOSE_WEIGHTS names, else the user's cache."""
    named = dest or os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    # Asked for by name first: a Mac user who sets it means it too.
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
    """The path of a weight file that is here and was checked. Nothing is ever downloaded.

    Args:
        file_id: id in the lock file.
        needed_by: metric or model that asks, for the message.
        folder: as `weights_folder` takes it.
        lock: another lock file than the project's.

    Raises:
        WeightsError: the file is missing or damaged; the message names the command that fetches it.
    """
    (entry,) = pick([file_id], lock)
    status = check(entry, weights_folder(folder))
    agree = " --accept-licence" if entry.commercial == "no" else ""
    command = f"tp-eval weights fetch {file_id}{agree}"
    if status.state == "missing":
        raise WeightsError(f"{needed_by} needs {file_id}: not here: {command}")
    if status.state == "damaged":
        raise WeightsError(f"{needed_by} needs {file_id}: {status.detail}: {command}")
    return status.path


def status(
    file_id: str, *, folder: str | os.PathLike[str] | None = None, lock: Path | None = None
) -> WeightStatus:
    """What there is of a file, at a glance: its content is not read.

    Raises:
        WeightsError: there is no such id.
    """
    (entry,) = pick([file_id], lock)
    return glance(entry, weights_folder(folder))


def verify(
    ids: Sequence[str] = (),
    *,
    folder: str | os.PathLike[str] | None = None,
    lock: Path | None = None,
    on_bytes: Callable[[str, int], None] | None = None,
) -> list[WeightStatus]:
    """Read files in full and compare.

    Args:
        ids: which; all of the lock file where empty.
        folder: as `weights_folder` takes it.
        lock: another lock file than the project's.
        on_bytes: called with an id and a number of bytes just read.

    Raises:
        WeightsError: there is no such id, or a file cannot be read.
    """
    entries = pick(ids, lock) if ids else list(read_lock(lock).values())
    place = weights_folder(folder)
    return [check(entry, place, trust_record=False, on_bytes=on_bytes) for entry in entries]


def glance(entry: WeightFile, folder: Path) -> WeightStatus:
    """Size and record of a file, without reading it."""
    path = folder / entry.file
    state: State
    if not path.is_file():
        state, detail, sha256 = "missing", "not here", None
    elif problem := _wrong_size(entry, path.stat().st_size):
        state, detail, sha256 = "damaged", problem, None
    else:
        sha256 = _settled_record(path)
        state, detail = ("present", "not read yet") if sha256 is None else judge(entry, sha256, sha256)
    return WeightStatus(entry.id, state, path, detail, sha256)


def check(
    entry: WeightFile,
    folder: Path,
    *,
    trust_record: bool = True,
    on_bytes: Callable[[str, int], None] | None = None,
) -> WeightStatus:
    """A file compared with its hash; it is read unless its record may be trusted.

    Raises:
        WeightsError: the file cannot be read.
    """
    seen = glance(entry, folder)
    if seen.state in ("missing", "damaged") and seen.sha256 is None:
        return seen
    if trust_record and seen.state != "damaged" and seen.sha256 is not None:
        return seen
    recorded = read_record(seen.path)
    sha256 = hash_file(seen.path, on_bytes=on_bytes and (lambda count: on_bytes(entry.id, count)))
    state, detail = judge(entry, sha256, recorded)
    if state != "damaged":
        with suppress(OSError):  # a shared folder that only its owner writes: it was checked all the same
            write_record(seen.path, sha256)
    return WeightStatus(entry.id, state, seen.path, detail, sha256)


def judge(entry: WeightFile, sha256: str, recorded: str | None) -> tuple[State, str]:
    """What a file with this hash is, and why it is not `verified`.

    Args:
        entry: what it should be.
        sha256: of the file.
        recorded: hash recorded at the first fetch, None where there is no record.
    """
    if entry.sha256 is not None:
        if sha256 == entry.sha256:
            return "verified", ""
        return "damaged", f"SHA-256 is {sha256}, the lock file says {entry.sha256}"
    if not sha256.startswith(entry.sha256_prefix or ""):
        return "damaged", f"SHA-256 is {sha256}, it should begin with {entry.sha256_prefix}"
    if recorded is not None and recorded != sha256:
        return "damaged", (
            f"SHA-256 is {sha256}, at the first fetch it was {recorded} "
            f"(remove {entry.name}.sha256 if the change is meant)"
        )
    return "present", known_of(entry)


def known_of(entry: WeightFile) -> str:
    """How far a file without a published hash can be checked, in words."""
    known = [
        name
        for name, value in (("size", entry.size), ("first digits of the hash", entry.sha256_prefix))
        if value is not None
    ]
    basis = f"checked by {' and '.join(known)} only" if known else "cannot be checked"
    return f"{basis} ({entry.unverified}); later by the hash recorded at the first fetch"


def hash_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file in hex.

    Raises:
        WeightsError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                if on_bytes:
                    on_bytes(len(chunk))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def read_record(path: Path) -> str | None:
    """The hash in `FILE.sha256`; None where there is none that can be used."""
    try:
        words = _record(path).read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    good = len(words) == 2 and words[1].lstrip("*") == path.name and len(words[0]) == 64
    return words[0].lower() if good else None


def write_record(path: Path, sha256: str) -> None:
    """Write `FILE.sha256`, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    record = _record(path)
    draft = record.with_name(f".{record.name}.{os.getpid()}")
    try:
        draft.write_text(f"{sha256}  {path.name}\n", "ascii")
        draft.replace(record)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _settled_record(path: Path) -> str | None:
    """The record of a file that was not written since, and not just before either."""
    sha256 = read_record(path)
    if sha256 is None:
        return None
    there = path.stat()
    # A copy that keeps the old time of writing still changes the time of change.
    written, recorded = max(there.st_mtime_ns, there.st_ctime_ns), _record(path).stat().st_mtime_ns
    return sha256 if written + _SETTLED_NS < recorded <= time.time_ns() else None


def _wrong_size(entry: WeightFile, size: int) -> str | None:
    if entry.size is None or size == entry.size:
        return None
    return f"{size:,} bytes, it should be {entry.size:,}"
