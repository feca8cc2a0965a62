"""Layout of downloaded files: finished under `sources/KEY/`, unfinished under `partial/`."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

SOURCES, PARTIAL, CACHE = "sources", "partial", "cache"
INFO = "info.json"
# Fields of the description that identify the file an unfinished download belongs to.
_STAMPED = ("format_id", "ext", "filesize", "timestamp", "duration", "width", "height", "vcodec")
_SIZE = _STAMPED.index("filesize")


class Partial:
    """Unfinished files of one source."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder, self._key = folder, key
        self.info = folder / f"{key}.{INFO}"
        self._stamp = folder / f"{key}.stamp"

    def template(self) -> Path:
        """Return the path of the file for yt-dlp, without the suffix."""
        return self._folder.absolute() / f"{self._key}-video"

    def begin(self, document: bytes, info: Mapping[str, Any]) -> None:
        """Store the description; delete what was downloaded of a file that is not offered any more."""
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp = json.dumps([info.get(name) for name in _STAMPED])
        if self._stamp.is_file() and self._stamp.read_text(encoding="utf-8") != stamp:
            self.clear()
        # Without fsync: after a power failure the download starts over.
        for path, content in ((self._stamp, stamp.encode()), (self.info, document)):
            temporary = path.with_name(f"{path.name}.new")
            temporary.write_bytes(content)
            temporary.replace(path)

    def whole(self) -> Path | None:
        """Return the file if yt-dlp has finished it."""
        if not self.info.is_file():
            return None
        prefix = f"{self._key}-video."
        names = [path for path in self._folder.iterdir() if path.name.startswith(prefix)]
        done = [path for path in names if not path.name.endswith((".part", ".ytdl", ".temp"))]
        return next((path for path in done if ".part-Frag" not in path.name), None)

    def clear(self) -> None:
        """Delete all unfinished files of this source."""
        for path in self._folder.glob(f"*{self._key}*"):
            path.unlink(missing_ok=True)


def delete_files(folder: Path, key: str) -> int:
    """Delete all files of a source; returns the number of bytes."""
    removed = 0
    partial = list((folder / PARTIAL).glob(f"*{key}*"))
    own = folder / SOURCES / key
    for path in [*partial, *(own.iterdir() if own.is_dir() else ())]:
        removed += path.stat().st_size
        path.unlink()
    shutil.rmtree(own, ignore_errors=True)
    return removed


def delete_strays(folder: Path, keys: Callable[[], Set[str]]) -> None:
    """Delete files whose source is not among these keys: it was forgotten during its download."""
    # Listed before the keys are read: another process enters a source before it writes files.
    finished, unfinished = list((folder / SOURCES).glob("*")), list((folder / PARTIAL).glob("*"))
    known = keys()
    for path in finished:
        if path.name not in known:
            delete_files(folder, path.name)
    for path in unfinished:
        if _key_of(path) not in known:
            path.unlink(missing_ok=True)


def _key_of(path: Path) -> str:
    """Return the key in the name of an unfinished file: KEY-video.mp4.part, KEY.stamp, KEY.info.json."""
    return path.name.split(".")[0].removesuffix("-video")


def partial_bytes(folder: Path, key: str | None = None) -> int:
    """Return the bytes of the unfinished files of one source or of all."""
    return sum(_sizes(folder, key).values())


def claimed_bytes(folder: Path, but: str) -> int:
    """Return the bytes that the unfinished files of all other sources will have, as far as known."""
    sizes = _sizes(folder, None)
    for path in (folder / PARTIAL).glob("*.stamp"):
        # Deleted or being rewritten.
        with contextlib.suppress(OSError, ValueError):
            size = json.loads(path.read_text(encoding="utf-8"))[_SIZE]
            sizes[_key_of(path)] = max(sizes.get(_key_of(path), 0), size or 0)
    return sum(size for key, size in sizes.items() if key != but)


def placed_bytes(folder: Path) -> int:
    """Return the bytes of the finished files on the disk."""
    total, sources = 0, folder / SOURCES
    # Path.glob fails if a folder is deleted during the search; glob.iglob skips it.
    for name in glob.iglob("*/video.*", root_dir=sources):  # noqa: PTH207
        with contextlib.suppress(FileNotFoundError):  # deleted in the meantime
            total += (sources / name).stat().st_size
    return total


def _sizes(folder: Path, key: str | None) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for path in (folder / PARTIAL).glob(f"{key or ''}*"):
        with contextlib.suppress(FileNotFoundError):  # finished in the meantime
            sizes[_key_of(path)] = sizes.get(_key_of(path), 0) + path.stat().st_size
    return sizes


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
