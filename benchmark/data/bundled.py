"""Bundled datasets by name."""

from __future__ import annotations

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


def protocol_of(location: str) -> str:
    """Return the default protocol of a dataset; a bundled dataset has its own."""
    return "tp-mini@2" if location == TP_MINI else "tp-long@2"
