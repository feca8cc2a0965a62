"""Bundled datasets by name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talkingpose.data.clips import ClipDataset

TP_MINI = "tp-mini"
TP_MINI_FOLDER = Path(__file__).parent / TP_MINI
_FOLDERS = {TP_MINI: TP_MINI_FOLDER}


def open_dataset(location: str) -> ClipDataset:
    """Open a bundled dataset by its name, or any other by its folder or Hub repository.

    A local folder is opened by its absolute path: a contestant may change the current directory.

    Raises:
        DatasetError: see `ClipDataset`.
    """
    from talkingpose.data.clips import ClipDataset

    folder = Path(location)
    return ClipDataset(location, _FOLDERS.get(location) or (folder.absolute() if folder.is_dir() else None))


def protocol_of(location: str, out: Path | None = None) -> str:
    """Return the default protocol of a dataset; a bundled dataset has its own.

    A run in `out` that was begun under an earlier version of the default continues under that version.
    """
    name, version = ("tp-mini" if location == TP_MINI else "tp-long"), 2
    if out is not None and (out / "run.json").is_file():
        from benchmark.results import ResultError, read_run

        with suppress(ResultError):  # the run itself reports a damaged document
            begun = read_run(out).protocol
            if begun.id == name and 0 < begun.version < version:
                version = begun.version
    return f"{name}@{version}"
