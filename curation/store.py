"""State of an output folder, by which the same command resumes.

.curation/lock, lock-I-of-N                 held while a run, or a shard of one, works in the folder
.curation/hashes.json                       content hashes of files by path, size and time
.curation/sources/SOURCE_ID.json            one record per finished source, written last
.curation/clips/SOURCE_ID/RECIPE/CLIP.mp4, CLIP.npz
.curation/exported.json                     files of the export, and a digest of its inputs
.curation/salt                              salt of person ids
.curation/acquisition/                      ledger and files of downloads
.curation/workers/HOST-PID.json             source that a worker processes, and its heartbeat
.curation/workers.log                       output of libraries in the workers
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout
from pydantic import AfterValidator, BaseModel, ValidationError

from curation.heartbeat import clear_heartbeats
from curation.records import SourceRecord
from curation.settings import ExportSettings
from curation.sources import LocalSource, Source, UnreadFile, encodable, identify, name_problem
from talkingpose.io.atomic import write_text
from talkingpose.io.errors import UserError
from talkingpose.io.shard import Shard

# Page of `tp-curate report` and the folder of its videos; `forget` deletes them.
REPORT_PAGE = "report.html"
REPORT_FILES = "report_files"

# Folder of ledger and downloads; see `curation.download`.
DOWNLOADS = "acquisition"
_SALT = "salt"
# Timeout for the short time in which another shard takes its lock.
_SHARD_START_S = 30.0
# Longest path in a message, in characters.
_MAX_NAME = 200


class StoreError(UserError):
    """An output folder that cannot be used."""


def _inside(name: str) -> str:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("a path outside the folder")
    return name


class _Export(BaseModel):
    """Fields of `exported.json` that later commands rely on; `Store.wipe` deletes the files."""

    files: list[Annotated[str, AfterValidator(_inside)]] = []
    settings: ExportSettings | None = None
    duplicates: dict[str, str] | None = None


def _is_hash_entry(entry: Any) -> bool:
    if not isinstance(entry, list) or not entry:
        return False
    return isinstance(entry[-1], str) and all(isinstance(number, int) for number in entry[:-1])


class Store:
    """State under the output folder `out`; creating the object creates no file."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.state = out / ".curation"
        self._records = self.state / "sources"
        self._hashes = self.state / "hashes.json"
        self._exported = self.state / "exported.json"
        self.log = self.state / "workers.log"
        self._is_shared = False

    @contextmanager
    def locked(self, shard: Shard | None = None) -> Iterator[None]:
        """Create the folder if missing and keep other runs out of it.

        Args:
            shard: shards of the same run may work beside one another, but not beside an unsharded run.

        Raises:
            StoreError: another run works in the folder, or it holds files of other programs.
        """
        self.check()
        self._is_shared = shard is not None
        with ExitStack() as held:
            try:
                self._records.mkdir(parents=True, exist_ok=True)
                self._lock(held, shard)
            except OSError as error:
                raise StoreError(
                    f"output {self._name}: {error.strerror}: give a folder that can be written"
                ) from error
            yield

    def _lock(self, held: ExitStack, shard: Shard | None) -> None:
        with ExitStack() as whole:
            _acquire(whole, self.state / "lock", self._busy(), timeout=_SHARD_START_S if shard else 0)
            own = None if shard is None else f"lock-{shard.number}-of-{shard.of}"
            for path in self.state.glob("lock-*-of-*"):
                if shard is None or not path.name.endswith(f"-of-{shard.of}"):
                    with ExitStack() as probe:
                        _acquire(probe, path, self._busy())
            if own is not None:
                _acquire(held, self.state / own, self._busy())
                return
            for stray in self.state.rglob(".*.part*"):
                stray.unlink(missing_ok=True)
            clear_heartbeats(self.state)
            held.enter_context(whole.pop_all())

    def _busy(self) -> StoreError:
        return StoreError(
            f"output {self._name}: another tp-curate works in this folder: wait for it or give another"
        )

    @property
    def _name(self) -> str:
        return encodable(str(self.out))[:_MAX_NAME]

    def check(self) -> None:
        """Check that the output is a folder of this program, or a new one; raises StoreError."""
        problem = self._problem()
        if problem is not None:
            raise StoreError(f"output {self._name}: {problem}")

    def _problem(self) -> str | None:
        problem = name_problem(self.out)
        if problem is not None:
            return problem
        try:
            if self.out.exists() and not self.out.is_dir():
                return "a file of this name exists: give a folder"
            if self.out.is_dir() and not self.state.is_dir() and any(self.out.iterdir()):
                return "the folder is not empty and was not made by tp-curate: give a new one"
        except OSError as error:
            return f"{error.strerror}: give another folder"
        return None

    def wipe(self) -> None:
        """Remove the files that runs wrote in the folder, and nothing else."""
        files = self.exported().get("files", [])
        for name in files:
            (self.out / name).unlink(missing_ok=True)
        for folder in {(self.out / name).parent for name in files} - {self.out}:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        for entry in self.state.iterdir():
            # Locks are held meanwhile. Downloads and tombstones outlive the clips made of them. A new salt
            # would rename all persons.
            if entry.name in (DOWNLOADS, _SALT) or entry.name.startswith("lock"):
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        self._records.mkdir()

    def identify(self, found: Iterable[LocalSource], *, remember: bool = True) -> Iterator[Source]:
        """Identify files by their content; a file of known path, size and time is not read again."""
        read: list[tuple[UnreadFile, str]] = []
        try:
            for file in self.recognise(found):
                if not isinstance(file, UnreadFile):
                    yield file
                    continue
                source = identify(file.file)
                if source.sha256 is not None:
                    read.append((file, source.sha256))
                yield source
        finally:
            if remember:
                self.remember(read)

    def recognise(self, found: Iterable[LocalSource]) -> list[Source | UnreadFile]:
        """Identify downloads and files that an earlier run has read; no file is opened.

        The others are returned with the files of equal size before them, which may have the same content.
        """
        known = self._known()
        sizes: dict[int, list[Path]] = {}
        unread: set[int] = set()
        recognised: list[Source | UnreadFile] = []
        for file in found:
            if file.origin is not None:
                recognised.append(identify(file))
                continue
            stamp = _stamp(file.path)
            entry = known.get(str(file.path.absolute()))
            alike = sizes.setdefault(stamp[0], []) if stamp else []
            # After an unread file of its size even a known file is compared: the first of two copies counts.
            if entry and stamp and entry[:2] == stamp and stamp[0] not in unread:
                recognised.append(identify(file, entry[2]))
            else:
                recognised.append(UnreadFile(file, tuple(alike), tuple(stamp)))
                unread |= set(stamp[:1])
            alike.append(file.path)
        return recognised

    def remember(self, read: Iterable[tuple[UnreadFile, str]]) -> None:
        """Store the SHA-256 of files for later runs, with the time at which each was found.

        A file that changes during the run is read again.
        """
        known = self._known()
        fresh = {str(one.file.path.absolute()): [*one.stamp, sha256] for one, sha256 in read if one.stamp}
        if fresh != {key: known.get(key) for key in fresh}:
            # Other shards may write at the same time, or have written in the meantime.
            with FileLock(self.state / "lock-hashes") if self._is_shared else nullcontext():
                write_text(self._hashes, json.dumps(self._known() | fresh, indent=0, ensure_ascii=True))

    def known_files(self) -> dict[str, Path]:
        """Return unchanged source files of earlier runs by the SHA-256 of their content."""
        found = {}
        for name, (*stamp, sha256) in self._known().items():
            path = Path(name)
            if stamp and stamp == _stamp(path):
                found[sha256] = path
        return found

    def forget_files(self, contents: set[str | None]) -> None:
        """Remove the files of these content hashes from the known files."""
        if self._hashes.is_file():
            kept = {path: entry for path, entry in self._known().items() if entry[-1] not in contents}
            write_text(self._hashes, json.dumps(kept, indent=0, ensure_ascii=True))

    def clip_folder(self, source_id: str, recipe: str) -> Path:
        """Return the folder of the clips of a source."""
        return self.state / "clips" / source_id / recipe

    def records(self) -> list[SourceRecord]:
        """Return all undamaged records, by source id."""
        found = (self.record(path.stem) for path in sorted(self._records.glob("*.json")))
        return [record for record in found if record is not None]

    def record(self, source_id: str) -> SourceRecord | None:
        """Return the record of a source; None if it is missing, or it or one of its clips is damaged."""
        try:
            record = SourceRecord.model_validate_json((self._records / f"{source_id}.json").read_bytes())
        except (FileNotFoundError, IsADirectoryError, ValidationError):
            return None
        folder = self.clip_folder(record.source_id, record.recipe)
        for clip in record.clips:
            video, arrays = folder / f"{clip.clip_id}.mp4", folder / f"{clip.clip_id}.npz"
            if not arrays.is_file() or not video.is_file() or video.stat().st_size != clip.num_bytes:
                return None
        return record

    def write(self, record: SourceRecord) -> None:
        """Write the record of a finished source; its clips are written before."""
        write_text(self._records / f"{record.source_id}.json", record.model_dump_json(indent=1))

    def drop_failures(self, sources: Iterable[Source]) -> None:
        """Delete the errors of files whose content has changed since: repaired, or readable again."""
        now = {source.name: source.source_id for source in sources}
        if not now:
            return
        for record in self.records():
            if record.error is not None and now.get(record.name, record.source_id) != record.source_id:
                (self._records / f"{record.source_id}.json").unlink(missing_ok=True)

    def tidy(self, records: Iterable[SourceRecord]) -> None:
        """Delete clips without a record: of interrupted runs and other configurations."""
        kept = {
            self.clip_folder(record.source_id, record.recipe) / f"{clip.clip_id}{suffix}"
            for record in records
            for clip in record.clips
            for suffix in (".mp4", ".npz")
        }
        clips = self.state / "clips"
        for path in sorted(clips.rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in kept:
                path.unlink()

    def salt(self) -> str:
        """Return the secret of this folder; it is created on first use and kept."""
        path = self.state / _SALT
        if not path.is_file():
            write_text(path, secrets.token_hex(16))
        return path.read_text(encoding="utf-8")

    def exported(self) -> dict[str, Any]:
        """Return the last value given to `remember_export`; empty before, and if the file is damaged."""
        content = self._read(self._exported)
        try:
            _Export.model_validate(content)
        except ValidationError:
            return {}
        return content

    def remember_export(self, export: dict[str, Any]) -> None:
        """Write a description of the export."""
        write_text(self._exported, json.dumps(export, indent=1))

    def _known(self) -> dict[str, list[Any]]:
        """Return size, time and SHA-256 by path; entries that are damaged are left out."""
        return {path: entry for path, entry in self._read(self._hashes).items() if _is_hash_entry(entry)}

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, IsADirectoryError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _stamp(path: Path) -> list[int]:
    """Return size and time of a file; empty if there is none."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _acquire(held: ExitStack, path: Path, busy: StoreError, timeout: float = 0) -> None:
    """Hold a lock file until the stack ends; raise `busy` if another process holds it."""
    try:
        held.enter_context(FileLock(path, timeout=timeout))
    except Timeout:
        raise busy from None
