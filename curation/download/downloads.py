"""From the ledger's finished sources to files that can be curated, and back: what may be deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from curation.download.downloader import folder_of
from curation.download.files import delete_files
from curation.download.ledger import Ledger, LedgerEntry, State
from curation.download.provenance import rights_evidence
from curation.sources import LocalSource, Origin


def fetched_files(out: Path, ledger: Ledger, keys: Iterable[str] | None = None) -> list[LocalSource]:
    """Files that lie on the disk, of these sources or of all, in the order the sources were entered."""
    chosen = None if keys is None else set(keys)
    return [
        as_found(out, ledger, entry)
        for entry in ledger.entries(State.DONE)
        if entry.kept and (chosen is None or entry.key in chosen)
    ]


def as_found(out: Path, ledger: Ledger, entry: LedgerEntry) -> LocalSource:
    """A finished source as a file to be curated, with what was seen when it was fetched."""
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
    path = folder_of(out) / entry.file
    return LocalSource(path, entry.name, origin, tuple(ledger.spans(entry.key)))


def drop_files(out: Path, ledger: Ledger, entries: Iterable[LedgerEntry]) -> int:
    """Delete files whose clips are safe; the sources stay done. Returns the bytes."""
    freed = 0
    for entry in entries:
        # First the word, then the deed: a file without a word would be taken for one to be curated.
        ledger.dropped(entry.key)
        freed += delete_files(folder_of(out), entry.key)
    return freed
