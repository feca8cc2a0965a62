"""Where fetched files lie: finished under `sources/KEY/`, unfinished under `partial/`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOURCES, PARTIAL, CACHE = "sources", "partial", "cache"
INFO = "info.json"


class Partial:
    """The unfinished files of one source."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder, self._key = folder, key
        self.info = folder / f"{key}.{INFO}"
        self._stamp = folder / f"{key}.stamp"

    def template(self) -> Path:
        """Where yt-dlp puts the file, without the suffix."""
        return self._folder.absolute() / f"{self._key}-video"

    def begin(self, document: bytes, info: Mapping[str, Any]) -> None:
        """Keep the description; what was begun of another file than the one offered now is deleted."""
        self._folder.mkdir(parents=True, exist_ok=True)
        names = ("format_id", "ext", "filesize", "timestamp", "duration", "width", "height", "vcodec")
        stamp = json.dumps([info.get(name) for name in names])
        if self._stamp.is_file() and self._stamp.read_text(encoding="utf-8") != stamp:
            self.clear()
        # Without fsync: after a power failure a download may begin anew, and nothing false is believed.
        for path, content in ((self._stamp, stamp.encode()), (self.info, document)):
            temporary = path.with_name(f"{path.name}.new")
            temporary.write_bytes(content)
            temporary.replace(path)

    def whole(self) -> Path | None:
        """The file, where yt-dlp has finished it."""
        if not self.info.is_file():
            return None
        prefix = f"{self._key}-video."
        names = [path for path in self._folder.iterdir() if path.name.startswith(prefix)]
        done = [path for path in names if not path.name.endswith((".part", ".ytdl", ".temp"))]
        return next((path for path in done if ".part-Frag" not in path.name), None)

    def clear(self) -> None:
        """Delete everything unfinished of this source."""
        for path in self._folder.glob(f"*{self._key}*"):
            path.unlink(missing_ok=True)


def delete_files(folder: Path, key: str) -> int:
    """Delete all files of a source; returns their bytes."""
    removed = 0
    partial = list((folder / PARTIAL).glob(f"*{key}*"))
    own = folder / SOURCES / key
    for path in [*partial, *(own.iterdir() if own.is_dir() else ())]:
        removed += path.stat().st_size
        path.unlink()
    shutil.rmtree(own, ignore_errors=True)
    return removed


def partial_bytes(folder: Path) -> int:
    """Bytes of unfinished files."""
    total = 0
    for path in (folder / PARTIAL).glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # finished in the meantime
    return total


def sync(path: Path) -> None:
    """A file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
