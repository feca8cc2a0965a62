"""Guarded reader of Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from talkingpose.io.documents import DocumentError
from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    import pyarrow


def read_table(path: Path, what: str, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """Read a Parquet file.

    Args:
        path: the file.
        what: name of the table in messages, such as "manifest".
        columns: columns to read; None for all.

    Raises:
        DocumentError: not a regular file, not valid Parquet, or a column is missing.
    """
    import pyarrow.parquet

    if not path.is_file():
        raise DocumentError(f"{what} {path}: no such file: copy or write it again")
    with parquet_errors(f"{what} {path}"):
        return pyarrow.parquet.ParquetFile(path).read(columns=None if columns is None else list(columns))


@contextmanager
def parquet_errors(where: str, kind: type[UserError] = DocumentError) -> Iterator[None]:
    """Turn errors of pyarrow into one line that begins with `where`.

    Raises:
        UserError: of the class `kind`; the file is not valid Parquet, or a column is missing.
    """
    import pyarrow

    try:
        yield
    except UserError:
        raise
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise kind(f"{where}: invalid Parquet ({reason}): copy or write it again") from error
