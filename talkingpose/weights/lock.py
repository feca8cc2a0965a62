"""Lock file of the weights: source, size, hash and licence of each file."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from talkingpose.io.documents import DocumentError, read_yaml
from talkingpose.weights.errors import WeightsError

LOCK_FILE = Path(__file__).with_name("weights.lock.yaml")

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{4,63}")
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """Entry of the lock file; the head of `weights.lock.yaml` documents its fields."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    id: str
    what: str
    file: str
    address: str
    licence: str
    commercial: Literal["yes", "no", "unclear"]
    used_by: tuple[str, ...]
    size: int | None
    sha256: str | None
    size_about: int | None = None
    sha256_prefix: str | None = None
    unverified: str | None = None
    mirror: str | None = None
    revision: str | None = None
    bundled: str | None = None
    bundled_sha256: str | None = None

    def __post_init__(self) -> None:
        checks = {
            "id: not lower-case words joined by -": _ID.fullmatch(self.id),
            "file: not a plain relative path": all(map(_PART.fullmatch, self.file.split("/"))),
            "size: not a positive number of bytes": self.size is None or self.size > 0,
            "size_about: not positive, or given beside size": self.size_about is None
            or (self.size is None and self.size_about > 0),
            "sha256: not 64 hex digits": self.sha256 is None or _SHA256.fullmatch(self.sha256),
            "sha256_prefix: not 4 to 63 hex digits, or given beside sha256": self.sha256_prefix is None
            or (self.sha256 is None and _PREFIX.fullmatch(self.sha256_prefix)),
            "unverified: give the reason where sha256 is null, and only there": (self.sha256 is None)
            == bool(self.unverified),
            "address, mirror: not https": all(map(_is_safe, self.addresses)),
            "revision: not part of the address": self.revision is None or self.revision in self.address,
            "bundled: not a plain file name with bundled_sha256 of 64 hex digits": (
                self.bundled is None and self.bundled_sha256 is None
            )
            or (_PART.fullmatch(self.bundled or "") and _SHA256.fullmatch(self.bundled_sha256 or "")),
            "licence, what, used_by: empty": self.licence and self.what and self.used_by,
        }
        wrong = [message for message, good in checks.items() if not good]
        if wrong:
            raise ValueError(f"{self.id}: {wrong[0]}")

    @property
    def addresses(self) -> tuple[str, ...]:
        """URLs, in the order to try."""
        return (self.address,) if self.mirror is None else (self.address, self.mirror)

    @property
    def known_size(self) -> int | None:
        """Size in bytes, rounded if only a rounded one is published; None if unknown."""
        return self.size if self.size is not None else self.size_about

    @property
    def name(self) -> str:
        """File name without folders."""
        return PurePosixPath(self.file).name


def read_lock(path: Path | None = None) -> Mapping[str, WeightFile]:
    """Read the entries of a lock file, by default the project's, by id in file order.

    Raises:
        WeightsError: the file cannot be read, an entry is invalid, or an id or a file occurs twice.
    """
    return _read(path or LOCK_FILE)


@functools.cache
def _read(path: Path) -> Mapping[str, WeightFile]:
    from pydantic import TypeAdapter, ValidationError

    try:
        entries = TypeAdapter(list[WeightFile]).validate_python(read_yaml(path, "weights lock file"))
    except DocumentError as error:
        raise WeightsError(str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise WeightsError(f"{path}: {where}: {first['msg']}") from error
    for values in ([entry.id for entry in entries], [entry.file for entry in entries]):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise WeightsError(f"{path}: {twice[0]}: occurs twice")
    return {entry.id: entry for entry in entries}


def pick(ids: Sequence[str], lock: Path | None = None) -> list[WeightFile]:
    """Return the entries of these ids, each once, in the order given.

    Raises:
        WeightsError: there is no such id.
    """
    entries = read_lock(lock)
    for name in ids:
        if name not in entries:
            raise WeightsError(f"weights {name}: no such file: choose from {', '.join(entries)}")
    return [entries[name] for name in dict.fromkeys(ids)]


def files_for(user: str, lock: Path | None = None) -> list[WeightFile]:
    """Return the entries that a metric or model uses.

    Raises:
        WeightsError: no metric or model of this name uses a weight file.
    """
    entries = read_lock(lock)
    files = [entry for entry in entries.values() if user in entry.used_by]
    if not files:
        users = sorted({name for entry in entries.values() for name in entry.used_by})
        raise WeightsError(f"weights for {user}: unknown: choose from {', '.join(users)}")
    return files


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
