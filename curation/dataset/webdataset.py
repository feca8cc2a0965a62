"""WebDataset export: tar files for sequential reading."""

from __future__ import annotations

import datetime as dt
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from curation.sources import encodable, name_problem
from talkingpose.data.clips import Clip, ClipDataset
from talkingpose.io.atomic import move
from talkingpose.io.errors import UserError


class WebDatasetError(UserError):
    """The folder for the tar files holds other files."""


_ARRAYS = ("keypoints", "boxes")


def write_webdataset(folder: Path, to: Path, *, max_shard_mb: float = 500) -> list[Path]:
    """Write SPLIT-NNNNN.tar files with ID.mp4, ID.json, ID.keypoints.npy and ID.boxes.npy for each clip.

    `json` has every other column of the configuration `clips`. The same dataset gives the same bytes.

    Args:
        folder: dataset that tp-curate wrote.
        to: new or empty folder, or one that this function wrote.
        max_shard_mb: largest size of a tar file in MB; a tar file holds at least one clip.

    Returns:
        The files, in the order of splits and clip ids.

    Raises:
        DatasetError: no dataset in `folder`.
        WebDatasetError: `to` holds other files.
    """
    if problem := name_problem(to):
        raise WebDatasetError(f"webdataset {encodable(str(to))}: {problem}")
    dataset = ClipDataset(str(folder))
    if to.exists() and (not to.is_dir() or any(path.suffix != ".tar" for path in to.iterdir())):
        raise WebDatasetError(f"webdataset {to}: the folder holds other files: give a new folder")
    to.mkdir(parents=True, exist_ok=True)
    staged = to / ".part"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    for split in dataset.splits:
        _write_split(dataset, split, staged, max_shard_mb * 1e6)
    for stale in to.glob("*.tar"):
        stale.unlink()
    written = []
    for path in sorted(staged.iterdir(), key=lambda path: path.name):
        move(path, to / path.name)
        written.append(to / path.name)
    staged.rmdir()
    return written


def update_webdataset(folder: Path, to: Path, *, keep: bool) -> None:
    """Write the tar files again after the dataset has changed; delete them where `keep` is False."""
    if keep:
        write_webdataset(folder, to)
    else:
        for path in to.glob("*.tar"):
            path.unlink()


def _write_split(dataset: ClipDataset, split: str, folder: Path, limit: float) -> None:
    clips = iter(dataset.clips(split))
    clip = next(clips, None)
    waiting = [] if clip is None else list(_members(dataset, clip))
    number = 0
    while clip is not None:
        with tarfile.open(folder / f"{split}-{number:05d}.tar", "w") as shard:
            size = 0
            while clip is not None and (not size or size + _size(waiting) <= limit):
                size += _size(waiting)
                for name, data in waiting:
                    # Times and owners are 0, so that the same clips give the same bytes.
                    entry = tarfile.TarInfo(f"{clip.clip_id}.{name}")
                    entry.size = len(data)
                    shard.addfile(entry, io.BytesIO(data))
                clip = next(clips, None)
                waiting = [] if clip is None else list(_members(dataset, clip))
        number += 1


def _size(members: list[tuple[str, bytes]]) -> int:
    """Estimate the size of members in a tar file: a header of 512 bytes each, and whole blocks."""
    return sum(len(data) + 1024 for _, data in members)


def _members(dataset: ClipDataset, clip: Clip) -> Iterator[tuple[str, bytes]]:
    row = dataset.row(clip)
    yield "mp4", dataset.video(clip)
    plain = {name: value for name, value in row.items() if name not in ("video", *_ARRAYS)}
    yield "json", json.dumps(plain, default=_plain, ensure_ascii=False, allow_nan=False).encode()
    yield "keypoints.npy", _npy(dataset.keypoints(clip).astype(np.float16))
    yield "boxes.npy", _npy(np.array(row["boxes"], np.float32).reshape(-1, 4))


def _plain(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(f"not JSON: {value!r}")


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
