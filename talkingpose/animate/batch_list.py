"""Jobs of `tp-animate`, and the CSV file of `--batch` that lists them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from talkingpose.io.documents import read_text
from talkingpose.io.errors import UserError

COLUMNS = ("reference", "driving", "out")


class BatchListError(UserError):
    """A list that cannot be used; the message names the line."""


@dataclass(frozen=True)
class AnimateJob:
    """One video to make: paths of the portrait, of the driving video or poses, and of the mp4."""

    reference: Path
    driving: Path
    out: Path


def read_batch_list(path: Path) -> list[AnimateJob]:
    """Read a CSV file with a header and the columns reference, driving, out; other columns are ignored.

    Relative paths start at the folder of the list.

    Raises:
        BatchListError: a column, a cell or a file is missing, or two jobs have the same output.
        DocumentError: the list does not exist or is not UTF-8 text.
    """
    reader = csv.DictReader(io.StringIO(read_text(path, "batch")), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
        columns = reader.fieldnames or []
    except csv.Error as error:
        raise BatchListError(f"batch {path}: not a CSV file: list {', '.join(COLUMNS)}") from error
    missing = [column for column in COLUMNS if column not in columns]
    if missing or not rows:
        problem = f"no column {missing[0]}" if missing else "no line below the header"
        raise BatchListError(
            f"batch {path}: {problem}: give the columns {', '.join(COLUMNS)} and one line per video"
        )
    jobs: dict[Path, AnimateJob] = {}
    for number, row in rows:
        job = _job(path, number, row)
        if job.out in jobs:
            raise BatchListError(
                f"batch {path}, line {number}: {job.out} twice: give each video its own name"
            )
        jobs[job.out] = job
    return list(jobs.values())


def _job(path: Path, number: int, row: dict[str, str | None]) -> AnimateJob:
    cells = {column: (row[column] or "").strip() for column in COLUMNS}
    empty = next((column for column, cell in cells.items() if not cell), None)
    if empty is not None:
        raise BatchListError(f"batch {path}, line {number}: no {empty}: fill the cell")
    paths = {column: path.parent / cell for column, cell in cells.items()}
    absent = next((c for c in ("reference", "driving") if not paths[c].is_file()), None)
    if absent is not None:
        raise BatchListError(f"batch {path}, line {number}: {absent} {paths[absent]}: no such file")
    return AnimateJob(**paths)
