"""Map of clips to finished videos: a CSV that states the name of the prediction of each clip."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from benchmark.errors import EvaluationError
from talkingpose.io.documents import DocumentError, read_text

CLIP_ID, PREDICTION, INPUTS = "clip_id", "prediction", "inputs"
_MAX_BYTES = 32 << 20
_DELIMITERS = (",", ";", "\t")


class CaseMapError(EvaluationError):
    """A map that cannot be used: one line that says which row, why, and what to do."""


@dataclass(frozen=True)
class CaseMap:
    """Rows of a map.

    Attributes:
        path: the CSV file.
        predictions: clip id -> path of its video or folder of frames, relative to the folder of predictions;
            empty where the row states none.
        inputs: clip id -> hash of the inputs that `tp-eval cases` exported, where the map has that column.
    """

    path: Path
    predictions: Mapping[str, str]
    inputs: Mapping[str, str]


def read_case_map(path: Path) -> CaseMap:
    """Read a map: UTF-8 CSV with the columns `clip_id` and `prediction`; other columns may follow.

    Columns are separated by commas, semicolons or tabs. A byte order mark and both kinds of line ends are
    accepted.

    Raises:
        CaseMapError: it cannot be read, a column is missing, a clip or a prediction occurs twice, or a path
            leads out of the folder of predictions.
    """
    try:
        text = read_text(path, "--map", _MAX_BYTES)
        rows = _rows(text, path)
    except DocumentError as error:
        raise CaseMapError(str(error)) from error
    except csv.Error as error:
        raise CaseMapError(f"--map {path}: not a CSV file ({error}): write it again") from error
    predictions: dict[str, str] = {}
    inputs: dict[str, str] = {}
    rows_of: dict[str, int] = {}
    for number, row in rows:
        where = f"--map {path}, line {number}"
        clip_id, prediction = row[CLIP_ID].strip(), _relative(row[PREDICTION].strip(), where)
        if not clip_id:
            raise CaseMapError(f"{where}: no clip_id: name the clip")
        if clip_id in predictions:
            raise CaseMapError(f"{where}: clip {printable(clip_id)} a second time: keep one line")
        if prediction and prediction in rows_of:
            raise CaseMapError(
                f"{where}: {printable(prediction)} is the prediction of line {rows_of[prediction]}, too: "
                "name another file"
            )
        rows_of[prediction] = number
        predictions[clip_id] = prediction
        if row.get(INPUTS):
            inputs[clip_id] = row[INPUTS].strip()
    return CaseMap(path, predictions, inputs)


def find_prediction(folder: Path, relative: str) -> Path | None:
    """Return the file or folder that a row names, None where there is none.

    A name that differs only in the composition of its accents, as other systems write it, is found as well.

    Raises:
        CaseMapError: a link leads out of the folder, or the path cannot be looked up.
    """
    inside = folder.resolve()
    try:
        path = _composed(folder, relative)
        if path is None:
            return None
        links = (
            [path, *(child for child in path.iterdir() if child.is_symlink())] if path.is_dir() else [path]
        )
        for link in links:
            if not link.resolve().is_relative_to(inside):
                raise CaseMapError(
                    f"--map: {printable(relative)}: leads out of {folder} by a link: copy the file into it"
                )
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, CaseMapError):
            raise
        reason = getattr(error, "strerror", None) or "a link leads to itself"
        raise CaseMapError(f"--map: {printable(relative)[:200]}: cannot be read ({reason})") from error
    return path


def printable(name: str) -> str:
    """Return a file name with every unprintable character escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def _rows(text: str, path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells by column of each row."""
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns = [name.strip() for name in next(reader, [])]
    for wanted in (CLIP_ID, PREDICTION):
        if columns.count(wanted) != 1:
            found = ", ".join(printable(name)[:40] for name in columns[:20]) or "nothing"
            raise CaseMapError(
                f"--map {path}: needs one column {wanted}, its first line has {found}: write the header "
                f"{CLIP_ID},{PREDICTION}"
            )
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise CaseMapError(
                f"--map {path}, line {reader.line_num}: {len(cells)} cells for {len(columns)} columns: quote "
                "names that hold the separator"
            )
        rows.append((reader.line_num, dict(zip(columns, cells, strict=True))))
    return rows


def _relative(text: str, where: str) -> str:
    """Return a relative path with forward slashes that does not leave its folder."""
    if not text:
        return ""
    if not text.isprintable() or len(text) > 4000:
        raise CaseMapError(f"{where}: {printable(text)[:100]}: not a file name: rename the file")
    path = text.replace("\\", "/")
    if path.startswith("/") or PureWindowsPath(text).drive:
        raise CaseMapError(
            f"{where}: {text[:200]}: an absolute path: give it relative to the folder of --predictions"
        )
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise CaseMapError(f"{where}: {text[:200]}: leads out of the folder of --predictions: move the file")
    return "/".join(parts)


def _composed(folder: Path, relative: str) -> Path | None:
    """Return the path of a name, also where the file system composes its accents in another way."""
    path = folder / relative
    if path.exists() or path.is_symlink():
        return path
    path = folder
    for part in relative.split("/"):
        wanted = unicodedata.normalize("NFC", part)
        names = [child for child in path.iterdir() if unicodedata.normalize("NFC", child.name) == wanted]
        if len(names) != 1:
            return None
        path = names[0]
        if not path.is_dir():
            return path if part == relative.rpartition("/")[2] else None
    return path
