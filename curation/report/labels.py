"""Labels: sources, or parts of them, that a person wants in a dataset."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from talkingpose.io.documents import DocumentError, read_text
from talkingpose.io.errors import UserError

_FILE_COLUMNS = ("file", "name", "source")
_YES, _NO = ("yes", "y", "1", "true", "keep"), ("no", "n", "0", "false", "reject")
# Longest value of a table that is quoted in a message.
_MAX_QUOTED = 80


class LabelError(UserError):
    """A table of labels cannot be used."""


@dataclass(frozen=True)
class Label:
    """Decision of a person about a part of a source.

    Attributes:
        file: path of the source, or the end of it.
        wanted: the decision.
        start_s, end_s: seconds of the source, all of it by default.
        source_id: id of the source; `file` does not count where a source has this id.
    """

    file: str
    wanted: bool
    start_s: float = 0.0
    end_s: float = float("inf")
    source_id: str = ""

    def is_of(self, name: str) -> bool:
        """Tell whether the label is of a source: one path is the end of the other, part by part."""
        own, other = (tuple(reversed(Path(text).parts)) for text in (self.file, name))
        return all(a == b for a, b in zip(own, other, strict=False))


@dataclass(frozen=True)
class Labels:
    """Labels of a table; `unclear` are files whose label is neither yes nor no."""

    labels: tuple[Label, ...]
    unclear: tuple[str, ...]


def read_labels(path: Path, column: str = "keep") -> Labels:
    """Read a CSV file of labels, such as `labels.csv` of the report.

    It has the columns `file` and `keep`, and optionally `start_s` and `end_s` of a part, and `source_id`.
    Other columns are ignored.

    Args:
        path: of the CSV file; its `file` column has paths of sources, or ends of paths.
        column: of the label; values other than yes and no are unclear.

    Raises:
        LabelError: no such file or column, an invalid time, or no clear label.
    """
    try:
        # A line break inside quotes belongs to a name.
        text = read_text(path, "labels")
        first = text.partition("\n")[0]
        # Spreadsheets of some countries write semicolons.
        sign = ";" if ";" in first and "," not in first else ","
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=sign)
        rows = [(reader.line_num, row) for row in reader]
        header = reader.fieldnames or []
    except DocumentError as error:
        raise LabelError(str(error)) from error
    except csv.Error as error:
        raise LabelError(f"labels {path}: not a CSV table ({error}): save it again") from error
    names = [name for name in _FILE_COLUMNS if name in header]
    if not names or column not in header:
        has = ", ".join(str(name)[:_MAX_QUOTED] for name in header[:20])
        raise LabelError(
            f"labels {path}: no column {column if names else 'file'}: it has {has or 'none'} "
            "(--column names the column of the label)"
        )
    labels, unclear = [], []
    for number, row in rows:
        word, file = (row[column] or "").strip().lower(), str(row[names[0]] or "").strip()
        where = f"labels {path}, line {number}"
        if word not in (*_YES, *_NO):
            unclear.append(file)
            continue
        source_id = (row.get("source_id") or "").strip()
        if not file and not source_id:
            raise LabelError(f"{where}: no file: name the file of the label")
        start, end = (_seconds(row, name, where) for name in ("start_s", "end_s"))
        last = float("inf") if end is None else end
        if last <= (start or 0.0):
            raise LabelError(
                f"{where}: end_s {last:g} is not after start_s {start or 0.0:g}: correct the row"
            )
        labels.append(Label(file, word in _YES, start or 0.0, last, source_id))
    if not labels:
        raise LabelError(f"labels {path}: column {column} has neither yes nor no: give other labels")
    return Labels(tuple(labels), tuple(unclear))


def labels_by_source(
    labels: Sequence[Label], names: Mapping[str, str]
) -> tuple[dict[str, list[Label]], list[Label]]:
    """Assign labels to sources: by id where a source has the id of the label, else by the end of the path.

    Args:
        labels: Labels of a table.
        names: Name of each source by its id.

    Returns:
        Labels by source id, and labels that fit no source.
    """
    by_last_part: dict[str, list[str]] = {}
    for source_id, name in names.items():
        by_last_part.setdefault(Path(name).name, []).append(source_id)
    found: dict[str, list[Label]] = {}
    unknown = []
    for label in labels:
        near = by_last_part.get(Path(label.file).name, [])
        own = [label.source_id] if label.source_id in names else [x for x in near if label.is_of(names[x])]
        for source_id in own:
            found.setdefault(source_id, []).append(label)
        if not own:
            unknown.append(label)
    return found, unknown


def labelled_parts(labels: Sequence[Label], start_s: float, end_s: float) -> list[tuple[float, float, bool]]:
    """Cut a span at the ends of its labels; where labels overlap, the shortest one counts.

    Args:
        labels: Labels of the source of the span.
        start_s, end_s: Span in seconds.

    Returns:
        Disjoint (start, end, wanted) in order; parts without a label are left out.
    """
    near = [one for one in labels if one.start_s < end_s and one.end_s > start_s]
    edges = {start_s, end_s}
    edges |= {edge for one in near for edge in (one.start_s, one.end_s) if start_s < edge < end_s}
    parts: list[tuple[float, float, bool]] = []
    for low, high in pairwise(sorted(edges)):
        fitting = [one for one in near if one.start_s <= low and high <= one.end_s]
        if not fitting:
            continue
        wanted = min(fitting, key=lambda one: one.end_s - one.start_s).wanted
        if parts and parts[-1][1] == low and parts[-1][2] == wanted:
            low = parts.pop()[0]
        parts.append((low, high, wanted))
    return parts


def _seconds(row: dict[str, str], name: str, where: str) -> float | None:
    text = (row.get(name) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise LabelError(f"{where}: {name} {text[:_MAX_QUOTED]!r}: give seconds")
    return value
