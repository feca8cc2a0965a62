"""Local video files to curate: search in files and folders, identification by content."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from talkingpose.io.errors import UserError

# Longest name of a file or folder, in bytes.
_MAX_PART = 255
SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv", ".wmv"}
    | {".ogv", ".3gp", ".mxf"}
)
_MAX_NAME = 200
# Skipped files that are named in the message.
_MAX_SKIPPED = 5


class SourceError(UserError):
    """A source that is missing or holds no video."""


@dataclass(frozen=True)
class Origin:
    """Origin of a downloaded video; names are those of the dataset's columns.

    `sha256` is of the file; `fetched_at` is ISO 8601 in UTC.
    """

    source: str
    source_id: str
    url: str
    sha256: str
    license: str | None
    uploader_id: str | None
    fetched_at: str
    rights_evidence: str


@dataclass(frozen=True)
class LocalSource:
    """A video file.

    Attributes:
        path: path of the file.
        name: readable name: path within the named folder, with the name of that folder.
        origin: None for a file that was not downloaded.
        spans: requested (start, end) in seconds; empty for the whole video.
    """

    path: Path
    name: str
    origin: Origin | None = None
    spans: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Source:
    """A video identified by its content, or by its id if it was downloaded.

    Attributes:
        source_id: id of its origin; for a local file 16 hex digits of the hash of the content, or of the
            name if the file cannot be read.
        sha256: hash of the content; None if the file cannot be read, and `problem` then has the reason.
    """

    path: Path
    name: str
    source_id: str
    sha256: str | None
    problem: str | None = None
    origin: Origin | None = None
    spans: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class UnreadFile:
    """A local file whose content no run has read.

    Attributes:
        file: the file.
        alike: files of the same size before it, which are processed in its place if their content is equal.
        stamp: size and time of the file when it was found, in bytes and ns; empty if there was none.
    """

    file: LocalSource
    alike: tuple[Path, ...] = ()
    stamp: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Readable name."""
        return self.file.name

    def copied(self) -> Path | None:
        """Return the first of the files before it with the same content, None if there is none."""
        for path in self.alike:
            with contextlib.suppress(OSError):
                if filecmp.cmp(path, self.file.path, shallow=False):
                    return path
        return None


def find_sources(locations: Iterable[Path], notes: list[str] | None = None) -> list[LocalSource]:
    """Find the videos named or below a named folder, each once, sorted within a folder.

    A named file is taken regardless of its suffix; in a folder the suffix decides. Hidden files and folders
    are ignored.

    Args:
        locations: files and folders.
        notes: receives one line for each folder in which files are skipped.

    Raises:
        SourceError: no such file, not a regular file, or a folder without videos.
    """
    found: dict[Path, LocalSource] = {}
    for location in locations:
        mode = _mode(location)
        if stat.S_ISDIR(mode):
            videos, skipped = _search(location)
            skip_note = _skip_note(location, skipped)
            if notes is not None:
                notes += skip_note
            if not videos:
                raise SourceError(
                    f"source {location}: no video in this folder: name files, or a folder with "
                    f"{', '.join(sorted(SUFFIXES))}" + "".join(f" ({note})" for note in skip_note)
                )
            top = location.resolve()
            for path in videos:
                name = encodable(f"{top.name}/{path.relative_to(location)}")
                found.setdefault(path.absolute(), LocalSource(path, name))
        elif stat.S_ISREG(mode):
            found.setdefault(location.absolute(), LocalSource(location, encodable(location.name)))
        else:
            raise SourceError(f"source {location}: not a regular file: give a video file or a folder")
    return list(found.values())


def identify(found: LocalSource, sha256: str | None = None) -> Source:
    """Identify a video by the hash of its content; `sha256` if it is known already."""
    if found.origin is not None:
        origin = found.origin
        return Source(
            found.path, found.name, origin.source_id, origin.sha256, origin=origin, spans=found.spans
        )
    try:
        if sha256 is None:
            with found.path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        unread = hashlib.sha256(f"unread {found.name}".encode()).hexdigest()
        problem = f"{found.name}: {error.strerror or error}: check the file and its permissions"
        return Source(found.path, found.name, unread[:16], None, problem)
    return Source(found.path, found.name, sha256[:16], sha256)


def name_problem(path: Path) -> str | None:
    """Return why a folder of this name cannot be written, before anything is; None if it can."""
    # Cc are control characters; Cs are the surrogates that stand for bytes that are not UTF-8.
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in str(path.absolute())):
        return "the path has control characters or is not UTF-8: give another name"
    if any(len(os.fsencode(part)) > _MAX_PART for part in path.parts):
        return "File name too long: give a shorter name"
    return None


def encodable(name: str) -> str:
    """Return a file name as text that can be encoded as UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _mode(location: Path) -> int:
    try:
        return location.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "invalid path"
        name = encodable(str(location))[:_MAX_NAME]
        raise SourceError(f"source {name}: {reason}: check the path") from error


def _search(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the videos below a folder, and the files that are skipped."""
    videos: list[Path] = []
    skipped: list[Path] = []
    for path in _walk(folder):
        # A broken link is taken, so that its name is reported as an error.
        is_video = path.suffix.lower() in SUFFIXES and (path.is_file() or not path.exists())
        (videos if is_video else skipped).append(path)
    return sorted(videos), sorted(skipped)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def _skip_note(folder: Path, skipped: Sequence[Path]) -> list[str]:
    if not skipped:
        return []
    kinds = Counter(path.suffix.lower() or "no suffix" for path in skipped)
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    names = ", ".join(str(path.relative_to(folder)) for path in skipped[:_MAX_SKIPPED])
    more = ", ..." if len(skipped) > _MAX_SKIPPED else ""
    return [
        encodable(
            f"source {folder}: skipped {len(skipped)} files that are not videos ({counts}): {names}{more}"
        )
    ]
