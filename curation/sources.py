"""The videos to curate: found among files and folders, known by their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from talkingpose.io.errors import UserError

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv", ".wmv"}
    | {".ogv", ".3gp", ".mxf"}
)


class SourceError(UserError):
    """What was named as a source holds no video."""


@dataclass(frozen=True)
class Origin:
    """Where a fetched video came from, and what was seen then; names are those of the dataset's columns.

    `sha256` is of the file, `fetched_at` ISO 8601 in UTC.
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
        name: for people: its place in the folder that was named, with that folder's name.
        origin: None for a local file.
        spans: (start, end) in seconds that are wanted; empty means all of it.
    """

    path: Path
    name: str
    origin: Origin | None = None
    spans: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Source:
    """A video known by its content, or by its id where it was fetched.

    Attributes:
        source_id: that of its origin; of a local file 16 hex digits: of the content's hash, or of the name's
            where the file cannot be read.
        sha256: of the content, None where it cannot be read; `problem` then says why.
    """

    path: Path
    name: str
    source_id: str
    sha256: str | None
    problem: str | None = None
    origin: Origin | None = None
    spans: tuple[tuple[float, float], ...] = ()


def find_sources(locations: Iterable[Path]) -> list[LocalSource]:
    """All videos named or lying under a named folder, each once, sorted within a folder.

    A file that is named is taken whatever its suffix; in a folder the suffix decides. Hidden files and
    folders are left out.

    Raises:
        SourceError: nothing under that name, or a folder without videos.
    """
    found: dict[Path, LocalSource] = {}
    for location in locations:
        if location.is_dir():
            videos = sorted(_walk(location))
            if not videos:
                raise SourceError(
                    f"source {location}: no video in this folder: name files, or a folder with "
                    f"{', '.join(sorted(SUFFIXES))}"
                )
            top = location.resolve()
            for path in videos:
                found.setdefault(
                    path.absolute(), LocalSource(path, _text(f"{top.name}/{path.relative_to(location)}"))
                )
        elif location.exists():
            found.setdefault(location.absolute(), LocalSource(location, _text(location.name)))
        else:
            raise SourceError(f"source {location}: there is no such file or folder: check the path")
    return list(found.values())


def identify(found: LocalSource, sha256: str | None = None) -> Source:
    """Read a video's content once to know it again under any name; `sha256` where it is known already."""
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


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(parent, name)


def _text(name: str) -> str:
    """A file name as text that can be written as UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")
