"""Submission of a run: one archive with the hash of every file, written here and verified by the board.

The archive is a ZIP file without compression, so it cannot be larger when opened than it is. Members are
`submission.json` and the files of the run that its documents name.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal

from pydantic import Field, ValidationError

from benchmark.errors import EvaluationError
from benchmark.results import CaseResult, Document
from benchmark.run_check import check_run
from benchmark.run_dir import RunDir
from talkingpose.io.atomic import atomic_write
from talkingpose.io.documents import DocumentError, DocumentLimits, parse_json

MANIFEST = "submission.json"
SUFFIX = ".zip"
_SCHEMA: Literal["talkingpose.submission/1"] = "talkingpose.submission/1"
_LIMITS = DocumentLimits(size=64 << 20, depth=4, items=1_000_000, text=1_000, number=2.0**60)
_NAME = re.compile(r"run\.json|(?:cases|frames|videos|features|lossless)/[\w-][\w.-]{0,249}")
_MAX_MEMBERS = 200_000
_MAX_DIRECTORY = 128 << 20
_CHUNK = 1 << 20
# A fixed date: the same run gives the same archive.
_DATE = (1980, 1, 1, 0, 0, 0)


class SubmissionError(EvaluationError):
    """A run that cannot be submitted, or an archive that is refused."""


class SubmittedFile(Document):
    """Size in bytes and SHA-256 of a file."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Submission(Document):
    """`submission.json`: the files of a run by name, and facts to show before it is opened."""

    schema_: Literal["talkingpose.submission/1"] = Field(_SCHEMA, alias="schema")
    name: str
    revision: str
    protocol: str
    protocol_sha256: str
    files: dict[str, SubmittedFile]


def write_submission(folder: Path, out: Path) -> Submission:
    """Check a run and write it as an archive.

    Args:
        folder: folder of the run.
        out: the archive to write; an earlier one is replaced.

    Raises:
        SubmissionError: the run is unfinished, limited or contradicts itself, or the archive cannot be
            written.
        ResultError: there is no run.
    """
    checked = check_run(folder)
    run = checked.run
    if checked.contradictions:
        first = checked.contradictions[0]
        raise SubmissionError(f"{folder}: contradicts itself: {first}: run tp-eval validate")
    if run.status != "complete":
        raise SubmissionError(f"{folder}: its status is {run.status}: run the same tp-eval command again")
    if not run.comparable:
        raise SubmissionError(f"{folder}: a limit makes it unfit for a ranking: run it without --limit")
    missing = next((problem for problem in checked.unchecked if problem.message == "no such file"), None)
    if missing is not None:
        raise SubmissionError(f"{folder}: {missing}: run the same tp-eval command again")
    names = ["run.json", *_names(folder, checked.cases.values())]
    files = {name: _described(folder / name) for name in names}
    manifest = Submission(
        schema=_SCHEMA,
        name=run.contestant.name,
        revision=run.contestant.revision,
        protocol=f"{run.protocol.id}@{run.protocol.version}",
        protocol_sha256=run.protocol.sha256,
        files=files,
    )
    try:
        with atomic_write(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_member(MANIFEST), manifest.model_dump_json(by_alias=True, indent=1))
            for name in names:
                _add(archive, folder, name)
    except OSError as error:
        raise SubmissionError(f"--out {out}: not writable ({error.strerror}): choose another") from error
    return manifest


def extract_submission(path: Path, folder: Path) -> Submission:
    """Verify an archive of a stranger and write its files into a new folder.

    Nothing outside `folder` is written. If the archive is refused, files may remain in it.

    Args:
        path: the archive.
        folder: folder to create.

    Raises:
        SubmissionError: it is no archive of `tp-eval submit`, or a file differs from its hash.
    """
    try:
        _check_archive(path)
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            manifest = _manifest(archive, members, path)
            folder.mkdir(parents=True)
            for name, described in manifest.files.items():
                _extract(archive, members[name], described, folder / name, f"{path}: {name}")
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, struct.error, NotImplementedError) as error:
        raise SubmissionError(f"{path}: damaged archive ({error}): ask for it again") from error
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, SubmissionError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise SubmissionError(f"{path}: not readable ({reason[:200]}): ask for it again") from error
    return manifest


def _names(folder: Path, cases: Iterable[CaseResult]) -> Iterator[str]:
    """Yield the files of the cases, relative to the folder of the run."""
    place = RunDir(folder)
    for case in cases:
        for path in (place.case(case.clip_id), place.frames(case.clip_id)):
            yield path.relative_to(folder).as_posix()
        yield from (part.path for part in (case.video, case.features, case.lossless) if part is not None)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.external_attr = 0o644 << 16
    return member


def _add(archive: zipfile.ZipFile, folder: Path, name: str) -> None:
    with (folder / name).open("rb") as source, archive.open(_member(name), "w", force_zip64=True) as to:
        for chunk in _chunks(source):
            to.write(chunk)


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _described(path: Path) -> SubmittedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SubmittedFile(bytes=path.stat().st_size, sha256=digest)


def _check_archive(path: Path) -> None:
    """Check kind of file and size of the directory, which is read at once."""
    if path.is_symlink() or not stat.S_ISREG(path.stat().st_mode):
        raise SubmissionError(f"{path}: not a regular file: give the archive itself")
    size = _directory_size(path)
    if size is None:
        raise SubmissionError(f"{path}: not a ZIP file: give an archive of tp-eval submit")
    if size > _MAX_DIRECTORY:
        raise SubmissionError(f"{path}: a directory of {size} bytes: more than {_MAX_DIRECTORY}")


def _directory_size(path: Path) -> int | None:
    """Return the size of the central directory, None without one (APPNOTE.TXT 6.3.10, 4.3.14 to 4.3.16)."""
    length = path.stat().st_size
    with path.open("rb") as file:
        start = max(0, length - (1 << 16) - 22 - 20)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            return None
        size = int(struct.unpack_from("<L", tail, at + 12)[0])
        locator = at - 20
        if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
            file.seek(struct.unpack_from("<Q", tail, locator + 8)[0])
            record = file.read(56)
            if record[:4] == b"PK\x06\x06":
                size = max(size if size != 0xFFFFFFFF else 0, int(struct.unpack_from("<Q", record, 40)[0]))
        return size


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name, after checks of each one's place, kind and size."""
    members: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise SubmissionError(f"{path}: {len(infos)} members: at most {_MAX_MEMBERS} are accepted")
    for info in infos:
        name = info.filename
        shown = name[:100].encode("ascii", "backslashreplace").decode()
        if name != MANIFEST and not _NAME.fullmatch(name):
            raise SubmissionError(f"{path}: member {shown!r}: not a file of a run")
        if name.casefold() in folded:
            raise SubmissionError(f"{path}: member {shown!r}: there twice")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir() or kind not in (0, stat.S_IFREG):
            raise SubmissionError(f"{path}: member {shown!r}: not a regular file")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise SubmissionError(f"{path}: member {shown!r}: compressed: give an archive of tp-eval submit")
        if info.flag_bits & 0x1:
            raise SubmissionError(f"{path}: member {shown!r}: encrypted")
        folded.add(name.casefold())
        members[name] = info
    # Members that overlap would be larger together than the archive.
    if sum(info.file_size for info in infos) > path.stat().st_size:
        raise SubmissionError(f"{path}: members overlap: ask for it again")
    return members


def _manifest(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: Path) -> Submission:
    where = f"{path}: {MANIFEST}"
    info = members.pop(MANIFEST, None)
    if info is None:
        raise SubmissionError(f"{where}: missing: give an archive of tp-eval submit")
    if info.file_size > _LIMITS.size:
        raise SubmissionError(f"{where}: larger than {_LIMITS.size} bytes")
    try:
        text = archive.read(info).decode("utf-8")
        manifest = Submission.model_validate(parse_json(text, where, _LIMITS))
    except (DocumentError, UnicodeDecodeError) as error:
        raise SubmissionError(f"{where}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        raise SubmissionError(f"{where}: {place}: {first['msg'][:200]}") from error
    differing = sorted(manifest.files.keys() ^ members.keys())
    if differing:
        raise SubmissionError(f"{path}: {differing[0][:100]}: not in both the archive and its list of files")
    if "run.json" not in members:
        raise SubmissionError(f"{path}: no run.json in it")
    return manifest


def _extract(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, described: SubmittedFile, target: Path, where: str
) -> None:
    """Write one member and compare it with its hash."""
    if info.file_size != described.bytes:
        raise SubmissionError(f"{where}: {info.file_size} bytes, its list of files says {described.bytes}")
    target.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    # "x": the archive never replaces a file.
    with archive.open(info) as source, target.open("xb") as to:
        for chunk in _chunks(source):
            digest.update(chunk)
            to.write(chunk)
    if digest.hexdigest() != described.sha256:
        raise SubmissionError(f"{where}: another SHA-256 than its list of files says: ask for it again")
