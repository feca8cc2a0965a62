"""Reading a manifest: the rows of a release of ids, by source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from curation.release import ReleaseError

_NEEDED = (
    "clip_id", "source", "source_id", "start_pts", "end_pts", "time_base_num", "time_base_den", "start_s",
    "end_s", "fps", "width", "height", "num_frames", "crop_xyxy", "sha256", "phash",
)  # fmt: skip
_KNOWN = (*_NEEDED, "url", "source_sha256", "config_hash", "person_id")


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

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick of `start_pts` and `end_pts`."""
        return Fraction(self.time_base_num, self.time_base_den)


def read_manifest(location: Path) -> list[ManifestRow]:
    """All rows of a release folder, of a folder of Parquet files, or of one such file.

    Raises:
        ReleaseError: there is no manifest, or it lacks a column.
    """
    if location.is_file():
        shards = [location]
    else:
        shards = sorted((location / "manifest").glob("*.parquet")) or sorted(location.glob("*.parquet"))
    if not shards:
        raise ReleaseError(f"manifest {location}: no Parquet file in it: give the folder of a release")
    return [row for shard in shards for row in _rows(shard)]


def by_source(rows: Sequence[ManifestRow]) -> dict[tuple[str, str], list[ManifestRow]]:
    """Rows grouped by (source, source_id), in the order of the manifest."""
    grouped: dict[tuple[str, str], list[ManifestRow]] = {}
    for row in rows:
        grouped.setdefault((row.source, row.source_id), []).append(row)
    return grouped


def _rows(shard: Path) -> list[ManifestRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(shard)
    except (pa.ArrowInvalid, OSError) as error:
        raise ReleaseError(f"manifest {shard}: it cannot be read as Parquet: fetch it again") from error
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise ReleaseError(f"manifest {shard}: no column {', '.join(missing)}: give a manifest of tp-curate")
    chosen = table.select([name for name in _KNOWN if name in table.column_names])
    return [_row(values, shard) for values in chosen.to_pylist()]


def _row(values: dict[str, Any], shard: Path) -> ManifestRow:
    clip_id = str(values["clip_id"])
    # It becomes the name of a file.
    if not clip_id or not all(c.isalnum() or c in "-_" for c in clip_id):
        raise ReleaseError(f"manifest {shard}: clip id {clip_id!r} is no file name: fetch the manifest again")
    crop = tuple(float(edge) for edge in values["crop_xyxy"])
    if len(crop) != 4 or values["num_frames"] < 1 or not 0 <= crop[0] < crop[2] <= 1.001:
        raise ReleaseError(f"manifest {shard}: clip {clip_id}: its span or crop cannot be: fetch it again")
    rest = {name: values.get(name) for name in _KNOWN if name != "crop_xyxy"}
    return ManifestRow(split=shard.name.split("-")[0], crop_xyxy=crop, **rest)  # type: ignore[arg-type]
