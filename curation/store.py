"""What a run remembers in its output folder, so that the same command goes on where it stopped.

.curation/lock                              held while a run works here
.curation/hashes.json                       content hashes of files by path, size and time
.curation/sources/SOURCE_ID.json            one record per finished source, written last
.curation/clips/SOURCE_ID/RECIPE/CLIP.mp4, CLIP.npz
.curation/exported.json                     what the export wrote, and from what
.curation/salt                              of the names of persons, where faces told who they are
.curation/acquisition/                      ledger and files of what was fetched
.curation/workers.log                       what libraries in the workers printed
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curation.records import SourceRecord
from curation.sources import LocalSource, Source, identify
from talkingpose.io.atomic import write_text
from talkingpose.io.errors import UserError

# The page of `tp-curate report`; `forget` deletes it.
REPORT_PAGE = "report.html"

# Folder of the ledger and of fetched sources; see `curation.download`.
ACQUISITION = "acquisition"
_SALT = "salt"


class StoreError(UserError):
    """The output folder cannot be worked in."""


class Store:
    """The state under `out`; looking at it creates nothing."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.state = out / ".curation"
        self._records = self.state / "sources"
        self._hashes = self.state / "hashes.json"
        self._exported = self.state / "exported.json"
        self.log = self.state / "workers.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if need be and keep other runs out of it.

        Raises:
            StoreError: another run works here, or the folder holds what no run wrote.
        """
        self.check()
        try:
            self._records.mkdir(parents=True, exist_ok=True)
            lock = (self.state / "lock").open("a")
        except OSError as error:
            raise StoreError(
                f"output {self.out}: {error.strerror}: give a folder that can be written"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(
                    f"output {self.out}: another tp-curate works in this folder: wait for it or give another"
                ) from None
            for stray in self.state.rglob(".*.part*"):
                stray.unlink(missing_ok=True)
            yield

    def check(self) -> None:
        """Refuse a folder with files of other hands; raises StoreError."""
        if self.out.exists() and not self.out.is_dir():
            raise StoreError(f"output {self.out}: this is a file: give a folder")
        if self.out.is_dir() and not self.state.is_dir() and any(self.out.iterdir()):
            raise StoreError(
                f"output {self.out}: the folder is not empty and no run of tp-curate made it: give a new one"
            )

    def wipe(self) -> None:
        """Remove what runs wrote here, and nothing else."""
        for name in self.exported().get("files", []):
            (self.out / name).unlink(missing_ok=True)
        for folder in {(self.out / name).parent for name in self.exported().get("files", [])} - {self.out}:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        for entry in self.state.iterdir():
            # The lock is held meanwhile; a new file of that name would let a second run in. What was fetched,
            # and what must never be fetched again, outlives the clips made of it.
            # The salt makes nothing that --fresh should make anew: without it all persons would change names.
            if entry.name not in ("lock", ACQUISITION, _SALT):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        self._records.mkdir()

    def identify(self, found: Iterable[LocalSource], *, remember: bool = True) -> Iterator[Source]:
        """Know files by their content; a file of the same path, size and time is not read again."""
        known: dict[str, list[Any]] = self._read(self._hashes)
        fresh = {}
        try:
            for file in found:
                if file.origin is not None:
                    yield identify(file)
                    continue
                key = str(file.path.absolute())
                try:
                    stat = file.path.stat()
                    stamp = [stat.st_size, stat.st_mtime_ns]
                except OSError:
                    stamp = []
                entry = known.get(key)
                source = identify(file, entry[2] if entry and stamp and entry[:2] == stamp else None)
                if source.sha256 is not None:
                    fresh[key] = [*stamp, source.sha256]
                yield source
        finally:
            if remember and fresh != {key: known.get(key) for key in fresh}:
                write_text(self._hashes, json.dumps(known | fresh, indent=0, ensure_ascii=True))

    def known_files(self) -> dict[str, Path]:
        """Source files that earlier runs saw and that are unchanged, by the SHA-256 of their content."""
        found = {}
        for name, (*stamp, sha256) in self._read(self._hashes).items():
            path = Path(name)
            try:
                stat = path.stat()
            except OSError:
                continue
            if stamp == [stat.st_size, stat.st_mtime_ns]:
                found[sha256] = path
        return found

    def clip_folder(self, source_id: str, recipe: str) -> Path:
        """Where the clips of a source lie."""
        return self.state / "clips" / source_id / recipe

    def records(self) -> list[SourceRecord]:
        """All whole records, by source id."""
        found = (self.record(path.stem) for path in sorted(self._records.glob("*.json")))
        return [record for record in found if record is not None]

    def record(self, source_id: str) -> SourceRecord | None:
        """The record of a source; None where there is none or it or one of its clips is damaged."""
        try:
            record = SourceRecord.model_validate_json((self._records / f"{source_id}.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        folder = self.clip_folder(record.source_id, record.recipe)
        for clip in record.clips:
            video, arrays = folder / f"{clip.clip_id}.mp4", folder / f"{clip.clip_id}.npz"
            if not arrays.is_file() or not video.is_file() or video.stat().st_size != clip.num_bytes:
                return None
        return record

    def write(self, record: SourceRecord) -> None:
        """Remember a finished source; its clips are there already."""
        text = record.model_dump_json(indent=1)
        write_text(self._records / f"{record.source_id}.json", text)

    def drop_failures(self, sources: Iterable[Source]) -> None:
        """Forget errors of files that have another content by now: mended, or readable again."""
        now = {source.name: source.source_id for source in sources}
        if not now:
            return
        for record in self.records():
            if record.error is not None and now.get(record.name, record.source_id) != record.source_id:
                (self._records / f"{record.source_id}.json").unlink()

    def tidy(self, records: Iterable[SourceRecord]) -> None:
        """Remove clips that no record names: of interrupted runs and other configurations."""
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
        """A secret of this folder, made when it is first asked for; kept for as long as the folder is."""
        path = self.state / _SALT
        if not path.is_file():
            write_text(path, secrets.token_hex(16))
        return path.read_text(encoding="utf-8")

    def exported(self) -> dict[str, Any]:
        """What `remember_export` was given last; empty before."""
        return self._read(self._exported)

    def remember_export(self, export: dict[str, Any]) -> None:
        """Note what was exported."""
        write_text(self._exported, json.dumps(export, indent=1))

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return content
