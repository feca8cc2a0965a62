"""Taking a source out of everything: bytes, rows, keypoints, caches, releases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curation.dataset.export import export
from curation.dataset.webdataset import update_webdataset
from curation.download.downloader import folder_of, open_ledger
from curation.download.files import CACHE, delete_files
from curation.download.ledger import Ledger, LedgerEntry
from curation.download.source_list import SourceListError, parse_address
from curation.records import SourceRecord
from curation.release.rebuild import MEMORY, REPORT
from curation.release.release import delete_release, is_published, release_ids
from curation.settings import ExportSettings
from curation.store import REPORT_PAGE, Store
from talkingpose.io.atomic import write_text
from talkingpose.io.errors import UserError


class ForgetError(UserError):
    """Nothing of that name is known."""


@dataclass(frozen=True)
class Size:
    """What lies in an output folder."""

    sources: int
    clips: int
    frames: int
    files: int
    num_bytes: int


@dataclass(frozen=True)
class Difference:
    """What a forgotten source took with it.

    Attributes:
        before, after: what lay in the folder.
        releases: folders of releases that were written anew.
        lost_releases: folders that were released to and are not there any more; nothing was done to them.
    """

    before: Size
    after: Size
    releases: tuple[str, ...]
    lost_releases: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def forget(out: Path, name: str, settings: ExportSettings) -> Difference:
    """Take a source out of a folder, and never take it in again.

    Args:
        name: its id, address, or the hash of its file.
        settings: layout of the export, for a folder that does not remember its own.

    Whatever interrupts this, the source is barred already, and the same command ends the work.

    Raises:
        ForgetError: neither the ledger nor the records know it; an id or address is barred for the future
            all the same.
        StoreError: another tp-curate works in the folder.
    """
    store = Store(out)
    if not store.state.is_dir():
        raise ForgetError(f"folder {out}: no run of tp-curate worked here: give the --out of one")
    with store.locked(), open_ledger(out) as ledger:
        entries, records = _known(ledger, store, name)
        barred_before = any(ledger.is_forgotten(mark) for mark in _marks(name, (), ()))
        ledger.bar(_marks(name, entries, records))
        if not entries and not records and not barred_before:
            raise ForgetError(f"source {name!r}: nothing of it is in {out}; it will not be taken in either")
        before = _size(out, store)
        _remove(store, entries, records)
        remembered = store.exported().get("settings")
        layout = ExportSettings.model_validate(remembered) if remembered else settings
        if store.exported() or store.records():
            export(store, store.records(), layout)
        done, lost = _release_again(store, ledger)
        # Last, because it is by the ledger that an interrupted command knows what to end.
        ledger.delete(entries)
        # What a worker put there meanwhile; from now on it finds its source gone, and clears up itself.
        for entry in entries:
            delete_files(folder_of(out), entry.key)
        return Difference(before, _size(out, store), tuple(done), tuple(lost))


def _known(ledger: Ledger, store: Store, name: str) -> tuple[list[LedgerEntry], list[SourceRecord]]:
    names = {name}
    try:
        wanted = parse_address(name)
    except SourceListError:
        pass  # a hash, or the id of a local file
    else:
        names |= {wanted.source_id, wanted.url}
    entries = {entry.key: entry for one in names for entry in ledger.find(one)}
    ids = names | {entry.source_id for entry in entries.values()}
    contents = {entry.sha256 for entry in entries.values() if entry.sha256} | names
    records = [
        record
        for record in store.records()
        if record.source_id in ids or record.url in names or record.source_sha256 in contents
    ]
    return list(entries.values()), records


def _marks(name: str, entries: Sequence[LedgerEntry], records: Sequence[SourceRecord]) -> set[str]:
    """What tombstones are made of: `source:id` and `sha256:hex`."""
    marks = {f"{entry.source}:{entry.source_id}" for entry in entries}
    marks |= {f"{record.source}:{record.source_id}" for record in records}
    marks |= {f"sha256:{entry.sha256}" for entry in entries if entry.sha256}
    marks |= {f"sha256:{record.source_sha256}" for record in records if record.source_sha256}
    try:
        wanted = parse_address(name)
    except SourceListError:
        return marks | {f"sha256:{name}", f"file:{name}"}
    return marks | {f"{wanted.source}:{wanted.source_id}"}


def _remove(store: Store, entries: Sequence[LedgerEntry], records: Sequence[SourceRecord]) -> None:
    folder = folder_of(store.out)
    for entry in entries:
        delete_files(folder, entry.key)
    for record in records:
        shutil.rmtree(store.state / "clips" / record.source_id, ignore_errors=True)
        for place in ("sources", MEMORY):
            (store.state / place / f"{record.source_id}.json").unlink(missing_ok=True)
    # What others left about it: printed lines, staged files, pages that yt-dlp kept.
    store.log.unlink(missing_ok=True)
    for cache in (store.state / "export", folder / CACHE):
        shutil.rmtree(cache, ignore_errors=True)
    for page in (REPORT, REPORT_PAGE):
        (store.out / page).unlink(missing_ok=True)
    contents = {record.source_sha256 for record in records}
    hashes = store.state / "hashes.json"
    if hashes.is_file():
        known = json.loads(hashes.read_text(encoding="utf-8"))
        kept = {path: value for path, value in known.items() if value[-1] not in contents}
        write_text(hashes, json.dumps(kept, indent=0, ensure_ascii=True))


def _release_again(store: Store, ledger: Ledger) -> tuple[list[str], list[str]]:
    done, lost = [], []
    for folder in ledger.releases():
        if any(Path(folder).glob("*.tar")):
            update_webdataset(store.out, Path(folder), keep=is_published(store))
            done.append(folder)
            continue
        if not (Path(folder) / "README.md").is_file():
            lost.append(folder)
            continue
        if is_published(store):
            release_ids(store.out, Path(folder))
        else:
            delete_release(Path(folder))
        done.append(folder)
    return done, lost


def _size(out: Path, store: Store) -> Size:
    records = store.records()
    clips = [clip for record in records for clip in record.clips]
    files = [path for path in out.rglob("*") if path.is_file()]
    return Size(
        sources=len(records),
        clips=len(clips),
        frames=sum(clip.num_frames for clip in clips),
        files=len(files),
        num_bytes=sum(path.stat().st_size for path in files),
    )
