"""Removal of a source from a folder and its releases: files, rows, keypoints, caches."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curation.dataset.export import export
from curation.dataset.webdataset import update_webdataset
from curation.download.files import CACHE, delete_files
from curation.download.ledger import Ledger, LedgerEntry, download_folder, open_ledger
from curation.download.source_list import SourceListError, parse_address
from curation.records import SourceRecord
from curation.release.rebuild import MEMORY, REPORT
from curation.release.release import delete_release, is_published, release_ids
from curation.settings import ExportSettings
from curation.store import REPORT_FILES, REPORT_PAGE, Store
from talkingpose.io.errors import UserError


class ForgetError(UserError):
    """A source that is not in the folder."""


@dataclass(frozen=True)
class Size:
    """Content of an output folder."""

    sources: int
    clips: int
    frames: int
    files: int
    num_bytes: int


@dataclass(frozen=True)
class Difference:
    """Effect of forgetting a source.

    Attributes:
        before, after: content of the folder.
        releases: folders of releases that were rewritten.
        lost_releases: folders of releases that do not exist any more and could not be updated.
        clips: ids of the removed clips.
    """

    before: Size
    after: Size
    releases: tuple[str, ...]
    lost_releases: tuple[str, ...]
    clips: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return asdict(self)


def forget(
    out: Path,
    name: str,
    settings: ExportSettings,
    announce: Callable[[Collection[str]], object] | None = None,
) -> Difference:
    """Remove a source from a folder and bar it from entering again.

    The source is barred first: after an interruption the same command finishes the removal.

    Args:
        out: output folder.
        name: id, address, or the hash of the file of a source.
        settings: layout of the export, if the folder has not stored its own.
        announce: receives the ids of the clips before they are removed; an interrupted removal forgets them.

    Raises:
        ForgetError: neither the ledger nor the records have the source; it is barred all the same.
        StoreError: another tp-curate works in the folder.
    """
    store = Store(out)
    if not store.state.is_dir():
        raise ForgetError(f"folder {out}: not made by tp-curate: give the --out of a run")
    with store.locked(), open_ledger(out) as ledger:
        entries, records = _find(ledger, store, name)
        barred_before = any(ledger.is_forgotten(mark) for mark in _marks(name, (), ()))
        ledger.add_tombstones(_marks(name, entries, records))
        if not entries and not records and not barred_before:
            raise ForgetError(f"source {name!r}: not found in {out}; it is barred from now on")
        clips = tuple(sorted(clip.clip_id for record in records for clip in record.clips))
        if announce is not None:
            announce(clips)
        before = _size(out, store)
        _remove(store, entries, records)
        remembered = store.exported().get("settings")
        layout = ExportSettings.model_validate(remembered) if remembered else settings
        if store.exported() or store.records():
            export(store, store.records(), layout)
        done, lost = _update_releases(store, ledger)
        # Last: an interrupted command finds its remaining work in the ledger.
        ledger.delete(entries)
        # Files that a downloader wrote in the meantime; from now on it deletes them itself.
        for entry in entries:
            delete_files(download_folder(out), entry.key)
        return Difference(before, _size(out, store), tuple(done), tuple(lost), clips)


def _find(ledger: Ledger, store: Store, name: str) -> tuple[list[LedgerEntry], list[SourceRecord]]:
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
    """Return the names that are barred: `source:id` and `sha256:hex`."""
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
    folder = download_folder(store.out)
    for entry in entries:
        delete_files(folder, entry.key)
    for record in records:
        shutil.rmtree(store.state / "clips" / record.source_id, ignore_errors=True)
        for place in ("sources", MEMORY):
            (store.state / place / f"{record.source_id}.json").unlink(missing_ok=True)
    # Traces elsewhere: output of libraries, staged files, the cache of yt-dlp.
    store.log.unlink(missing_ok=True)
    for cache in (store.state / "export", folder / CACHE, store.out / REPORT_FILES):
        shutil.rmtree(cache, ignore_errors=True)
    for page in (REPORT, REPORT_PAGE):
        (store.out / page).unlink(missing_ok=True)
    store.forget_files({record.source_sha256 for record in records})


def _update_releases(store: Store, ledger: Ledger) -> tuple[list[str], list[str]]:
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
