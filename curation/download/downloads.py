"""Downloaded files on the disk: their sources for curation, and their deletion."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from curation.download.files import delete_files
from curation.download.ledger import Ledger, LedgerEntry, State, download_folder
from curation.download.provenance import rights_evidence
from curation.sources import LocalSource, Origin


def downloaded_files(out: Path, ledger: Ledger, keys: Iterable[str] | None = None) -> list[LocalSource]:
    """Return the files on the disk, of these sources or of all, in the order the sources were entered."""
    chosen = None if keys is None else set(keys)
    return [
        _local_source(out, ledger, entry)
        for entry in ledger.entries(State.DONE)
        if entry.kept and (chosen is None or entry.key in chosen)
    ]


def _local_source(out: Path, ledger: Ledger, entry: LedgerEntry) -> LocalSource:
    assert entry.file and entry.sha256 and entry.fetched_at is not None and entry.info_sha256
    origin = Origin(
        source=entry.source,
        source_id=entry.source_id,
        url=entry.url,
        sha256=entry.sha256,
        license=entry.license,
        uploader_id=entry.uploader_id,
        fetched_at=dt.datetime.fromtimestamp(entry.fetched_at, dt.UTC).isoformat(timespec="seconds"),
        rights_evidence=rights_evidence(entry.license, entry.fetched_at, entry.info_sha256),
    )
    path = download_folder(out) / entry.file
    return LocalSource(path, entry.name, origin, tuple(ledger.spans(entry.key)))


def delete_downloads(out: Path, ledger: Ledger, entries: Iterable[LedgerEntry]) -> int:
    """Delete files whose clips are written; the sources stay done. Returns the number of bytes."""
    freed = 0
    for entry in entries:
        # The ledger comes first: a file that it calls kept would be curated again.
        ledger.mark_deleted(entry.key)
        freed += delete_files(download_folder(out), entry.key)
    return freed
