"""Reader of the manifest of a release."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from curation.release.release import ReleaseError
from talkingpose.io.documents import DocumentError
from talkingpose.io.tables import read_table

_NEEDED = (
    "clip_id", "source", "source_id", "start_pts", "end_pts", "time_base_num", "time_base_den", "start_s",
    "end_s", "fps", "width", "height", "num_frames", "crop_xyxy", "sha256", "phash",
)  # fmt: skip
# Larger sides are damaged numbers.
_LARGEST_SIDE = 16384
_KNOWN = (*_NEEDED, "url", "source_sha256", "config_hash", "person_id", "has_audio")


@dataclass(frozen=True)
class ManifestRow:
    """One clip of a manifest; names are those of the dataset's columns."""

    split: str
    clip_id: str
    source: str
    source_id: str
    url: str | None
    start_pts: int
    end_pts: int
    time_base_num: int
    time_base_den: int
    start_s: float
    end_s: float
    fps: float
    width: int
    height: int
    num_frames: int
    crop_xyxy: tuple[float, float, float, float]
    sha256: str
    phash: str
    source_sha256: str | None
    config_hash: str | None
    person_id: str | None
    # Not in the representation, by which results of earlier versions are found again.
    has_audio: bool | None = field(default=None, repr=False)

    @property
    def time_base(self) -> Fraction:
        """Duration of a tick of `start_pts` and `end_pts` in seconds."""
        return Fraction(self.time_base_num, self.time_base_den)


def read_manifest(location: Path) -> list[ManifestRow]:
    """Read all rows of a release folder, of a folder of Parquet files, or of one such file.

    Raises:
        ReleaseError: no manifest, a missing column, or an invalid row.
    """
    if os.path.isfile(location):  # noqa: PTH113  False for every invalid path
        shards = [location]
    else:
        shards = sorted((location / "manifest").glob("*.parquet")) or sorted(location.glob("*.parquet"))
    if not shards:
        raise ReleaseError(f"manifest {location}: no Parquet file: give the folder of a release")
    rows = [row for shard in shards for row in _rows(shard)]
    twice = [clip_id for clip_id, number in Counter(row.clip_id for row in rows).items() if number > 1]
    if twice:
        raise ReleaseError(f"manifest {location}: clip {twice[0]} occurs twice: download the release again")
    return rows


def _rows(shard: Path) -> list[ManifestRow]:
    try:
        table = read_table(shard, "manifest")
    except DocumentError as error:
        raise ReleaseError(f"manifest {shard}: invalid Parquet: download the release again") from error
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise ReleaseError(f"manifest {shard}: no column {', '.join(missing)}: give a manifest of tp-curate")
    chosen = table.select([name for name in _KNOWN if name in table.column_names])
    return [_row(values, shard) for values in chosen.to_pylist()]


def _row(values: dict[str, Any], shard: Path) -> ManifestRow:
    clip_id = str(values["clip_id"])
    # The id becomes a file name.
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", clip_id):
        raise ReleaseError(
            f"manifest {shard}: clip id {clip_id!r} is not a valid file name: download the release again"
        )
    try:
        crop = tuple(float(edge) for edge in values["crop_xyxy"])
        rest = {name: values.get(name) for name in _KNOWN if name != "crop_xyxy"}
        row = ManifestRow(split=shard.name.split("-")[0], crop_xyxy=crop, **rest)  # type: ignore[arg-type]
        valid = _is_valid(row)
    except (TypeError, ValueError):  # a null or a missing number
        valid = False
    if not valid:
        raise ReleaseError(f"manifest {shard}: clip {clip_id}: invalid numbers: download the release again")
    return row


def _is_valid(row: ManifestRow) -> bool:
    x0, y0, x1, y1 = row.crop_xyxy
    return (
        0 <= x0 < x1 <= 1.001
        and 0 <= y0 < y1 <= 1.001
        and row.num_frames >= 1
        and 0 < row.width <= _LARGEST_SIDE * (x1 - x0)
        and 0 < row.height <= _LARGEST_SIDE * (y1 - y0)
        and 0 < row.fps < math.inf
        and row.start_pts < row.end_pts
        and row.time_base_num > 0
        and row.time_base_den > 0
        and re.fullmatch(r"([0-9a-f]{16})+", row.phash) is not None
    )
