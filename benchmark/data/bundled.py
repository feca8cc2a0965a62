"""Datasets that come with the project, by name."""

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

    Raises:
        DatasetError: see `ClipDataset`.
    """
    from talkingpose.data.clips import ClipDataset

    return ClipDataset(location, _FOLDERS.get(location))


def protocol_of(location: str) -> str:
    """The protocol of a run that names none: a bundled dataset has its own."""
    return "tp-mini@1" if location == TP_MINI else "tp-long@1"
