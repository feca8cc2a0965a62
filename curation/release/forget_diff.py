"""Diff of forgotten clips, which copies of a dataset apply without the sources or the ledger."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curation.dataset.export import shard_writer
from curation.release.forget import forget
from curation.settings import ExportSettings
from curation.store import Store
from talkingpose.data.schema import CONFIGS
from talkingpose.io.atomic import atomic_write, write_text
from talkingpose.io.documents import read_json
from talkingpose.io.errors import UserError
from talkingpose.io.tables import parquet_errors, read_table

SCHEMA = "talkingpose.forget/1"


class ForgetDiffError(UserError):
    """A diff that cannot be read, or a folder that it cannot be applied to."""


@dataclass(frozen=True)
class Applied:
    """Effect of a diff on a copy.

    Attributes:
        clips: ids of clips that were removed.
        files: names of files that were rewritten.
    """

    clips: tuple[str, ...]
    files: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the effect as JSON values."""
        return asdict(self)


def write_diff(path: Path, clips: Collection[str]) -> None:
    """Add clips to a diff; it holds ids of clips only, from which no source can be told."""
    known = read_diff(path) if path.exists() else frozenset()
    document = {"schema": SCHEMA, "clips": sorted(known | set(clips))}
    write_text(path, json.dumps(document, indent=1) + "\n")


def read_diff(path: Path) -> frozenset[str]:
    """Read the ids of a diff.

    Raises:
        ForgetDiffError: it is not a diff of this program.
        DocumentError: it cannot be read.
    """
    document = read_json(path, "diff")
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ForgetDiffError(f"diff {path}: no {SCHEMA}: give what tp-curate forget --diff wrote")
    clips = document.get("clips")
    if not isinstance(clips, list) or not all(isinstance(clip, str) for clip in clips):
        raise ForgetDiffError(f"diff {path}: clips: no list of ids: copy the file again")
    return frozenset(clips)


def apply_diff(path: Path, out: Path, settings: ExportSettings) -> Applied:
    """Remove the clips of a diff from a copy of a dataset. Applying it again changes nothing.

    In a folder of `tp-curate run` the sources of the clips are forgotten. In any other copy the Parquet files
    are rewritten under their names without the rows, and `verdicts.jsonl` without the lines.

    Args:
        path: the diff.
        out: folder of the copy.
        settings: layout of the export of a folder that has not stored its own.

    Raises:
        ForgetDiffError: the diff or the folder is none.
        StoreError: another tp-curate works in the folder.
    """
    clips = read_diff(path)
    store = Store(out)
    if store.state.is_dir():
        records = [one for one in store.records() if any(clip.clip_id in clips for clip in one.clips)]
        found = {clip.clip_id for record in records for clip in record.clips}
        for record in records:
            forget(out, record.source_id, settings)
        return Applied(tuple(sorted(found)), tuple(store.exported().get("files", ())) if records else ())
    tables = [table for config in CONFIGS for table in sorted((out / config).glob("*.parquet"))]
    if not tables:
        raise ForgetDiffError(f"folder {out}: no dataset: give the folder with README.md and clips/")
    verdicts = out / "verdicts.jsonl"
    lines, kept = _verdicts_without(verdicts, clips)
    removed: set[str] = set()
    files = []
    for table in tables:
        gone = _without(table, clips)
        removed |= gone
        files += [str(table.relative_to(out))] if gone else []
    if kept != lines:
        write_text(verdicts, "".join(kept))
        files.append(verdicts.name)
    return Applied(tuple(sorted(removed)), tuple(files))


def _verdicts_without(path: Path, clips: Collection[str]) -> tuple[list[str], list[str]]:
    """Read all lines of `verdicts.jsonl`, and those without the clips; none if there is no file."""
    if not path.is_file():
        return [], []
    try:
        # Names may hold U+2028 and other characters at which str.splitlines breaks a line.
        with path.open(encoding="utf-8", newline="\n") as file:
            lines = list(file)
        return lines, [line for line in lines if str(json.loads(line).get("clip_id")) not in clips]
    except (ValueError, AttributeError) as error:
        raise ForgetDiffError(f"verdicts {path}: not JSON lines ({error}): copy the file again") from error


def _without(path: Path, clips: Collection[str]) -> set[str]:
    """Rewrite a table without some clips, one row group at a time; returns those that it had."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    gone = set(read_table(path, "table", ["clip_id"]).column("clip_id").to_pylist()) & set(clips)
    if not gone:
        return gone
    barred = pa.array(sorted(gone))
    # The old file is closed before the new one replaces it.
    with (
        parquet_errors(f"table {path}"),
        atomic_write(path) as temporary,
        pq.ParquetFile(path) as table,
        shard_writer(temporary, table.schema_arrow) as writer,
    ):
        for number in range(table.num_row_groups):
            rows = table.read_row_group(number)
            kept = rows.filter(pc.invert(pc.is_in(rows.column("clip_id"), value_set=barred)))
            if kept.num_rows:
                writer.write_table(kept)
    return gone
