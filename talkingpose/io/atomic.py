"""Atomic writes: a file appears under its name complete or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends.

    The file is synced to disk before the rename. If the block raises, the temporary file is deleted and
    `path` is unchanged. The temporary name starts with a dot and has `.part` before the suffix of `path`:
    libraries that choose a format by suffix still work.

    Example:
        with atomic_write(folder / "report.json") as temporary:
            temporary.write_text(text, encoding="utf-8")
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Return an unused name in the folder of `path`, with its suffix."""
    return path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path` atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes to `path` atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def move(source: Path, target: Path) -> None:
    """Sync a finished file and rename it; both paths are on the same file system."""
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    source.replace(target)
