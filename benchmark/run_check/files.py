"""Files beside `run.json`: they are inside the run, regular, and have the hashes that its cases hold."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.results import CaseResult, ResultError
from benchmark.run_check.problem import RunProblem, contradiction, unchecked
from benchmark.run_dir import RunDir
from talkingpose.io.documents import DocumentError, read_bytes

Floats = npt.NDArray[np.float64]

# Eleven hours at 25 frames per second: longer clips do not occur, and tables stay small.
_MAX_FRAMES = 1_000_000
VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov")
_MAX_COLUMNS = 1000
_MAX_TABLE_BYTES = 1 << 30
_MAX_STRING_BYTES = 1 << 20


def check_files(folder: RunDir, case: CaseResult) -> Iterator[RunProblem]:
    """Check place and hash of the videos and features that a case names."""
    for part in (case.video, case.features, case.lossless):
        if part is None:
            continue
        path = folder.path / part.path
        problem = _place_problem(folder.path, path)
        if part is not case.features and path.suffix.lower() not in VIDEO_SUFFIXES:
            yield contradiction(part.path, f"not a video by its name ({', '.join(VIDEO_SUFFIXES)})")
        elif problem is not None:
            yield problem
        elif _sha256(path) != part.sha256.lower():
            yield contradiction(part.path, "not the file whose hash the case holds")


def check_run_document(folder: Path) -> None:
    """Refuse a `run.json` that is a link out of the run, or not a regular file.

    Raises:
        ResultError: it is.
    """
    problem = _place_problem(folder, folder / "run.json")
    if problem is not None and problem.severity == "contradiction":
        raise ResultError(f"{folder / 'run.json'}: {problem.message}: give a folder that tp-eval wrote")


def check_place(folder: RunDir, clip_id: str) -> Iterator[RunProblem]:
    """Check that the document and the frame scores of a case are regular files inside the run."""
    for path in (folder.case(clip_id), folder.frames(clip_id)):
        problem = _place_problem(folder.path, path)
        if problem is not None:
            yield problem


def read_frame_table(folder: RunDir, case: CaseResult) -> Mapping[str, Floats]:
    """Read the frame scores of a case: column -> float64 (num_frames,), NaN where there is no score.

    Raises:
        ResultError: the file is not a table of numbers with one row for each frame.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder.frames(case.clip_id)
    if case.num_frames > _MAX_FRAMES:
        raise ResultError(f"{case.num_frames} frames: at most {_MAX_FRAMES} are read")
    try:
        data = read_bytes(path, "frame scores", max_bytes=_MAX_TABLE_BYTES)
        with pq.ParquetFile(
            pa.BufferReader(data),
            thrift_string_size_limit=_MAX_STRING_BYTES,
            thrift_container_size_limit=_MAX_STRING_BYTES,
        ) as file:
            if file.metadata.num_rows != case.num_frames:
                raise ResultError(f"{file.metadata.num_rows} rows: not one row for each frame")
            if file.metadata.num_columns > _MAX_COLUMNS:
                raise ResultError(f"{file.metadata.num_columns} columns: at most {_MAX_COLUMNS} are read")
            plain = (pa.float64(), pa.float32(), pa.int32(), pa.int64())
            if any(field.type not in plain for field in file.schema_arrow):
                raise ResultError("a column does not hold numbers")
            table = file.read()
        columns = {
            name: np.asarray(table.column(name).cast(pa.float64()).to_numpy(), np.float64)
            for name in table.column_names
        }
    except DocumentError as error:
        raise ResultError(str(error)) from error
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(f"not readable as a table: {type(error).__name__}") from error
    if not np.array_equal(columns.get("t", np.empty(0)), np.arange(case.num_frames)):
        raise ResultError(f"rows are not numbered from 0 to {case.num_frames - 1}")
    if any(np.isinf(values).any() for values in columns.values()):
        raise ResultError("a score is infinite")
    return columns


def _place_problem(run: Path, path: Path) -> RunProblem | None:
    """Return why a file of a run is not there, or is not a regular file inside it."""
    where = path.relative_to(run).as_posix()
    try:
        if not path.resolve().is_relative_to(run.resolve()):
            return contradiction(where, "a link that leads out of the run")
        mode = path.stat().st_mode
    except FileNotFoundError:
        return unchecked(where, "no such file")
    except (OSError, RuntimeError, ValueError) as error:
        return unchecked(where, f"not readable ({getattr(error, 'strerror', None) or error})")
    return None if stat.S_ISREG(mode) else contradiction(where, "not a regular file")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
