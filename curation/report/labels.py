"""Labels: sources, or parts of them, that a person wants in a dataset."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from talkingpose.io.errors import UserError

_FILE_COLUMNS = ("file", "name", "source")
_YES, _NO = ("yes", "y", "1", "true", "keep"), ("no", "n", "0", "false", "reject")


class LabelError(UserError):
    """A table of labels cannot be used."""


@dataclass(frozen=True)
class Label:
    """Decision of a person about a part of a source.

    Attributes:
        file: path of the source, or the end of it.
        wanted: the decision.
        start_s, end_s: seconds of the source, all of it by default.
    """

    file: str
    wanted: bool
    start_s: float = 0.0
    end_s: float = float("inf")

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
    """Read a CSV file with the columns `file`, the label, and optionally `start_s` and `end_s` of a part.

    Args:
        path: of the CSV file; its `file` column has paths of sources, or ends of paths.
        column: of the label; values other than yes and no are unclear.

    Raises:
        LabelError: no such file or column, an invalid time, or no clear label.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not a text table"
        raise LabelError(f"labels {path}: {reason}: give a CSV file with a header") from error
    names = [name for name in _FILE_COLUMNS if name in header]
    if not names or column not in header:
        raise LabelError(
            f"labels {path}: no column {column if names else 'file'}: it has {', '.join(header) or 'none'} "
            "(--column names the column of the label)"
        )
    labels, unclear = [], []
    for number, row in enumerate(rows, start=2):
        word = (row[column] or "").strip().lower()
        if word not in (*_YES, *_NO):
            unclear.append(str(row[names[0]]))
            continue
        start, end = (_seconds(row, name, f"labels {path}, line {number}") for name in ("start_s", "end_s"))
        labels.append(Label(str(row[names[0]]), word in _YES, start or 0.0, end or float("inf")))
    if not labels:
        raise LabelError(f"labels {path}: column {column} has neither yes nor no: give other labels")
    return Labels(tuple(labels), tuple(unclear))


def label_of(labels: Sequence[Label], name: str, start_s: float, end_s: float) -> Label | None:
    """Find the label of a span: the narrowest one whose part contains the middle of the span."""
    middle = (start_s + end_s) / 2
    fitting = [one for one in labels if one.is_of(name) and one.start_s <= middle < one.end_s]
    return min(fitting, key=lambda one: one.end_s - one.start_s, default=None)


def _seconds(row: dict[str, str], name: str, where: str) -> float | None:
    text = (row.get(name) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise LabelError(f"{where}: {name} {text!r}: give seconds")
    return value
