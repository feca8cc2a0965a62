"""Export of records and clip files as a dataset: Parquet, card, verdicts."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from curation.dataset.card import FOOTAGE_TEXT, CardText, card
from curation.dataset.dedup import COPIES, find_duplicates
from curation.dataset.leakage import find_leakage
from curation.dataset.persons import groups_of, persons_of
from curation.dataset.splits import split_of
from curation.records import SHOWN_ONLY, ClipRecord, SourceRecord
from curation.settings import ExportSettings
from curation.store import Store
from talkingpose.data.schema import AUDIO_COLUMN, CONFIGS, SCORES, SPLITS, features
from talkingpose.io.atomic import move
from talkingpose.io.documents import read_arrays
from talkingpose.io.tables import read_table
from talkingpose.pose.keypoints import NUM_KEYPOINTS

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

# Bump to write existing exports again.
_VERSION = 7
# Readers fetch whole row groups, so a row group holds few clips.
_ROW_GROUP_BYTES = 32_000_000
_KEYPOINT_BYTES = NUM_KEYPOINTS * 3 * 2
_ZSTD_LEVEL = 9
# A video, and the keypoints of a clip, are larger than a page may be: they get one of their own.
_CHUNKING = {"min_chunk_size": 16_384, "max_chunk_size": 65_536}


@dataclass(frozen=True)
class DatasetRow:
    """A clip of the dataset with its source, split and person."""

    source: SourceRecord
    clip: ClipRecord
    split: str
    person_id: str | None

    def cells(self) -> dict[str, Any]:
        """Return every column but the video, the keypoints and the boxes."""
        own = self.clip.model_dump(exclude={"scores", "num_bytes", "face"})
        return {
            **own,
            "crop_xyxy": list(self.clip.crop_xyxy),
            AUDIO_COLUMN: self.clip.has_audio,
            "scores": {name: self.clip.scores.get(name) for name in SCORES},
            "source": self.source.source,
            "source_id": self.source.source_id,
            "source_sha256": self.source.source_sha256,
            "config_hash": self.source.config_hash,
            "tool_versions": json.dumps(self.source.tool_versions, sort_keys=True),
            "url": self.source.url,
            "person_id": self.person_id,
            "license": self.source.license,
            "uploader_id": self.source.uploader_id,
            "fetched_at": dt.datetime.fromisoformat(self.source.fetched_at)
            if self.source.fetched_at
            else None,
            "rights_evidence": self.source.rights_evidence,
        }


def export(
    store: Store, records: Sequence[SourceRecord], settings: ExportSettings, texts: CardText = FOOTAGE_TEXT
) -> bool:
    """Write the dataset that the records describe; the same records give the same bytes.

    New files replace old ones one by one, then the card names the new ones, then old files are deleted.

    Args:
        store: of the folder.
        records: all sources.
        settings: of the export.
        texts: of the card.

    Returns:
        False where the dataset is up to date.
    """
    digest = _digest(records, settings, texts)
    before = store.exported()
    files: list[str] = before.get("files", [])
    if before.get("digest") == digest and all((store.out / name).is_file() for name in files):
        return False
    copies = find_duplicates(records, settings.duplicates or COPIES)
    duplicates = copies if settings.duplicates is not None else {}
    persons = persons_of(store, records, settings.persons)
    groups = groups_of(records, persons, copies)
    rows = _rows(records, settings, duplicates, persons, groups)
    staged = store.state / "export"
    shutil.rmtree(staged, ignore_errors=True)
    layout = {config: _write_config(store, staged, config, rows, settings) for config in CONFIGS}
    (staged / "verdicts.jsonl").write_text("".join(_verdict_lines(records, duplicates)), encoding="utf-8")
    leakage = find_leakage(rows, copies, _splits_of(records, settings, groups, copies))
    report = json.dumps(leakage.document(), indent=1, ensure_ascii=False) + "\n"
    (staged / "leakage.json").write_text(report, encoding="utf-8")
    text = card(layout, rows, records, leakage, digest, texts)
    (staged / "README.md").write_text(text, encoding="utf-8")
    data_files = [name for splits in layout.values() for names in splits.values() for name in names]
    written = [*data_files, "leakage.json", "verdicts.jsonl", "README.md"]
    # Recorded before they appear, so that --fresh finds them after an interruption.
    store.remember_export({"digest": None, "files": sorted({*files, *written})})
    for name in written:
        (store.out / name).parent.mkdir(exist_ok=True)
        move(staged / name, store.out / name)
    for name in set(files) - set(written):
        (store.out / name).unlink(missing_ok=True)
    for config in CONFIGS:
        folder = store.out / config
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    shutil.rmtree(staged, ignore_errors=True)
    store.remember_export(
        {
            "digest": digest,
            "files": sorted(written),
            "settings": settings.model_dump(mode="json"),
            "duplicates": duplicates,
            "copies": copies,
        }
    )
    return True


def exported_clip_ids(store: Store) -> frozenset[str]:
    """Read the ids of the clips that are in the dataset of a folder, from its manifest."""
    names = [name for name in store.exported().get("files", []) if name.startswith("manifest/")]
    paths = [store.out / name for name in names if (store.out / name).is_file()]
    return frozenset(
        clip for path in paths for clip in read_table(path, "manifest", ["clip_id"])["clip_id"].to_pylist()
    )


def _digest(records: Sequence[SourceRecord], settings: ExportSettings, texts: CardText) -> str:
    """Hash everything that the export depends on."""
    parts = [record.model_dump_json(exclude={"seconds"}) for record in records]
    text = "\n".join([str(_VERSION), settings.model_dump_json(), repr(texts), *parts])
    return hashlib.sha256(text.encode()).hexdigest()


def dropped_duplicates(store: Store, records: Sequence[SourceRecord]) -> dict[str, str]:
    """List the clips that the last export left out, each with the clip that has its footage."""
    exported = store.exported()
    if "settings" not in exported:
        return {}
    found = exported.get("duplicates")
    if found is None:  # an export of a former version
        found = find_duplicates(records, ExportSettings.model_validate(exported["settings"]).duplicates)
    present = {clip.clip_id for record in records for clip in record.clips}
    return {clip: kept for clip, kept in found.items() if clip in present}


def exported_copies(store: Store, records: Sequence[SourceRecord]) -> dict[str, str]:
    """List the copies that the last export put into one split, each with the clip that has its footage."""
    copies: dict[str, str] = store.exported().get("copies") or dropped_duplicates(store, records)
    present = {clip.clip_id for record in records for clip in record.clips}
    return {clip: kept for clip, kept in copies.items() if {clip, kept} <= present}


def _splits_of(
    records: Sequence[SourceRecord],
    settings: ExportSettings,
    groups: Mapping[str, str],
    copies: Mapping[str, str],
) -> dict[str, str]:
    """Split of the source of every copied clip."""
    asked = {*copies, *copies.values()}
    return {
        clip.clip_id: split_of(groups[record.source_id], settings.splits)
        for record in records
        for clip in record.clips
        if clip.clip_id in asked
    }


def _rows(
    records: Sequence[SourceRecord],
    settings: ExportSettings,
    duplicates: Mapping[str, str],
    persons: Mapping[str, str],
    groups: Mapping[str, str],
) -> list[DatasetRow]:
    """List all clips but duplicates, by split and clip id."""
    rows = [
        DatasetRow(
            record, clip, split_of(groups[record.source_id], settings.splits), persons.get(clip.clip_id)
        )
        for record in records
        for clip in record.clips
        if clip.clip_id not in duplicates
    ]
    return sorted(rows, key=lambda row: (SPLITS.index(row.split), row.clip.clip_id))


def _write_config(
    store: Store, staged: Path, config: str, rows: Sequence[DatasetRow], settings: ExportSettings
) -> dict[str, list[str]]:
    """Write one configuration under `staged`; return its file names by split, without empty splits."""
    folder = staged / config
    folder.mkdir(parents=True)
    columns = features(config, audio=any(row.clip.has_audio is not None for row in rows))
    layout: dict[str, list[str]] = {}
    # Compression and files need no interpreter lock; each thread holds one row group.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        written = []
        for split in SPLITS:
            shards = list(_shards([row for row in rows if row.split == split], config, settings))
            names = [f"{config}/{split}-{i:05d}-of-{len(shards):05d}.parquet" for i in range(len(shards))]
            for name, shard in zip(names, shards, strict=True):
                written.append(pool.submit(_write_shard, store, staged / name, config, columns, shard))
            if names:
                layout[split] = names
        for one in written:
            one.result()
    return layout


def _shards(rows: Sequence[DatasetRow], config: str, settings: ExportSettings) -> Iterator[list[DatasetRow]]:
    return _chunks(rows, config, settings.max_shard_mb * 1e6)


def _chunks(rows: Sequence[DatasetRow], config: str, limit: float) -> Iterator[list[DatasetRow]]:
    """Split rows into chunks of at most `limit` bytes, at least one row each."""
    chunk: list[DatasetRow] = []
    size = 0
    for row in rows:
        own = _size(row, config)
        if chunk and size + own > limit:
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += own
    if chunk:
        yield chunk


def _size(row: DatasetRow, config: str) -> int:
    """Estimate the bytes of a row."""
    text = 2000
    if config == "manifest":
        return text
    keypoints = row.clip.num_frames * _KEYPOINT_BYTES
    return text + keypoints + (row.clip.num_bytes if config == "clips" else 0)


def shard_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a Parquet file for rows of a dataset; the same rows and row groups give the same bytes."""
    import pyarrow.parquet as pq

    # Video is compressed already.
    compression = {leaf: "none" if leaf.startswith("video") else "zstd" for leaf in _leaves(schema)}
    # Neighbouring keypoints are similar: this level saves a sixth over the default.
    levels = {leaf: _ZSTD_LEVEL for leaf, name in compression.items() if name == "zstd"}
    return pq.ParquetWriter(
        path,
        schema,
        compression=compression,
        compression_level=levels,
        use_dictionary=False,
        # Readers find a page without the whole column; a content-addressed hub gets only changed pages. The
        # default of up to 1 MB cuts between videos by size, and moves all pages after a removed row.
        write_page_index=True,
        use_content_defined_chunking=_CHUNKING,
    )


def _write_shard(
    store: Store, path: Path, config: str, columns: datasets.Features, rows: Sequence[DatasetRow]
) -> None:
    schema = columns.arrow_schema
    with shard_writer(path, schema) as writer:
        for group in _chunks(rows, config, _ROW_GROUP_BYTES):
            writer.write_table(_table(store, schema, group))


def _table(store: Store, schema: pa.Schema, rows: Sequence[DatasetRow]) -> pa.Table:
    import pyarrow as pa

    cells = [row.cells() for row in rows]
    arrays: dict[str, list[npt.NDArray[Any]]] = {"keypoints": [], "boxes": []}
    videos = []
    for row in rows:
        folder = store.clip_folder(row.source.source_id, row.source.recipe)
        if "keypoints" in schema.names:
            saved = read_arrays(folder / f"{row.clip.clip_id}.npz", "arrays")
            for name, values in arrays.items():
                values.append(saved[name])
        if "video" in schema.names:
            name = f"{row.clip.clip_id}.mp4"
            videos.append({"bytes": (folder / name).read_bytes(), "path": name})
    columns = []
    for field in schema:
        if field.name in arrays:
            columns.append(_nested(field.type, arrays[field.name]))
        else:
            plain = videos if field.name == "video" else [cell[field.name] for cell in cells]
            columns.append(pa.array(plain, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _nested(kind: pa.DataType, values: Sequence[npt.NDArray[Any]]) -> pa.Array:
    """Convert arrays of equal shape but for the first axis to nested Arrow lists, without Python lists."""
    import pyarrow as pa

    joined = np.concatenate(values)
    array: pa.Array = pa.array(joined.reshape(-1))
    for length in joined.shape[:0:-1]:
        offsets = np.arange(0, len(array) + 1, length, dtype=np.int32)
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    rows = np.cumsum([0, *(len(value) for value in values)], dtype=np.int32)
    array = pa.ListArray.from_arrays(pa.array(rows), array)
    if isinstance(kind, pa.ExtensionType):
        return pa.ExtensionArray.from_storage(kind, array.cast(kind.storage_type))
    return array.cast(kind)


def _leaves(schema: pa.Schema) -> list[str]:
    """List the names of the Parquet columns, nested ones as paths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), file)
    found = pq.ParquetFile(pa.BufferReader(file.getvalue())).schema
    return [found.column(i).path for i in range(len(found.names))]


def _verdict_lines(records: Sequence[SourceRecord], duplicates: Mapping[str, str]) -> Iterator[str]:
    """Yield one line per span, and one per source that could not be judged.

    `duplicate_of` names the clip of the dataset that has the footage of a kept span.
    """
    for record in records:
        source: Mapping[str, Any] = {"source_id": record.source_id, "name": record.name}
        loss = {"lost_frames": record.lost_frames} if record.lost_frames else {}
        if record.error is not None:
            yield (
                json.dumps({**source, "verdict": "error", "reason": record.error}, ensure_ascii=False) + "\n"
            )
        for shot in record.shots:
            kept = duplicates.get(shot.clip_id or "")
            copied = {} if kept is None else {"duplicate_of": kept}
            line = {**source, **loss, **shot.model_dump(mode="json", exclude=SHOWN_ONLY), **copied}
            yield json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
