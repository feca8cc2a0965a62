"""The list of films that `tp-animate --batch` makes: a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from talkingpose.io.errors import UserError

COLUMNS = ("reference", "driving", "out")


class BatchListError(UserError):
    """A list that cannot be used; the message names its line."""


@dataclass(frozen=True)
class Job:
    """One film to make: paths of the portrait, of what drives it, and of the mp4."""

    reference: Path
    driving: Path
    out: Path


def read_batch_list(path: Path) -> list[Job]:
    """Read a CSV file with a header line and the columns reference, driving, out; others are ignored.

    Relative paths start at the folder of the list.

    Raises:
        BatchListError: no such file, a column or a cell is missing, a file is not there, two films of one
            name.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            lines = [(reader.line_num, row) for row in reader]
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a CSV file in UTF-8"
        raise BatchListError(f"batch {path}: {reason}: give a list with {', '.join(COLUMNS)}") from error
    missing = [column for column in COLUMNS if column not in columns]
    if missing or not lines:
        what = f"no column {missing[0]}" if missing else "no line below the header"
        raise BatchListError(
            f"batch {path}: {what}: give the columns {', '.join(COLUMNS)} and one line a film"
        )
    films: dict[Path, Job] = {}
    for number, row in lines:
        film = _film(path, number, row)
        if film.out in films:
            raise BatchListError(
                f"batch {path}, line {number}: {film.out} twice: give each film its own name"
            )
        films[film.out] = film
    return list(films.values())


def _film(path: Path, number: int, row: dict[str, str | None]) -> Job:
    cells = {column: (row[column] or "").strip() for column in COLUMNS}
    empty = next((column for column, cell in cells.items() if not cell), None)
    if empty is not None:
        raise BatchListError(f"batch {path}, line {number}: no {empty}: fill the cell")
    paths = {column: path.parent / cell for column, cell in cells.items()}
    absent = next((c for c in ("reference", "driving") if not paths[c].is_file()), None)
    if absent is not None:
        raise BatchListError(f"batch {path}, line {number}: {absent} {paths[absent]}: no such file")
    return Job(**paths)
