"""Guarded reader of untrusted documents: JSON, YAML, text and arrays, with limits on every dimension."""

from __future__ import annotations

import datetime
import io
import json
import math
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

_MB = 1 << 20


class DocumentError(UserError):
    """A document that cannot be read or exceeds a limit."""


@dataclass(frozen=True)
class DocumentLimits:
    """DocumentLimits of a document.

    Attributes:
        size: size of the file in bytes.
        depth: depth of nested lists and mappings.
        items: number of values in the whole document.
        text: length of one string, in characters.
        number: largest absolute value of a number. Non-finite numbers are always refused.
    """

    size: int = 16 * _MB
    depth: int = 32
    items: int = 1_000_000
    text: int = 1_000_000
    number: float = 1e18


DEFAULT_LIMITS = DocumentLimits()
_MAX_ARRAYS = 64


def read_bytes(path: Path, what: str, max_bytes: int = DEFAULT_LIMITS.size) -> bytes:
    """Read a regular file of bounded size.

    Args:
        path: the file.
        what: name of the document in messages, such as "run" or "config".
        max_bytes: largest accepted size.

    Raises:
        DocumentError: there is no such file, or it is not regular, too large or unreadable.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO blocks until somebody writes to it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "invalid path"
        raise DocumentError(f"{what} {path}: {reason}: check the path") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DocumentError(f"{what} {path}: not a regular file: give a file")
    with os.fdopen(handle, "rb") as file:
        try:
            content = file.read(max_bytes + 1)
        except OSError as error:
            raise DocumentError(f"{what} {path}: {error.strerror}: check the disk") from error
    if len(content) > max_bytes:
        raise DocumentError(f"{what} {path}: larger than {max_bytes} bytes: give a smaller file")
    return content


def read_text(path: Path, what: str, max_bytes: int = DEFAULT_LIMITS.size) -> str:
    """Read a regular UTF-8 file of bounded size.

    Raises:
        DocumentError: as `read_bytes`, or the content is not UTF-8.
    """
    try:
        return read_bytes(path, what, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{what} {path}: not UTF-8 text: save it as UTF-8") from error


def read_json(path: Path, what: str, limits: DocumentLimits = DEFAULT_LIMITS) -> Any:
    """Read a JSON document.

    Raises:
        DocumentError: as `read_text`, invalid JSON, NaN or Infinity, or a limit is exceeded.
    """
    return parse_json(read_text(path, what, limits.size), f"{what} {path}", limits)


def parse_json(text: str, where: str, limits: DocumentLimits = DEFAULT_LIMITS) -> Any:
    """Parse JSON text; `where` opens every error message.

    Raises:
        DocumentError: invalid JSON, NaN or Infinity, or a limit is exceeded.
    """
    # A cheap bound before values are allocated; wrong only for a million commas and colons within strings.
    if text.count(",") + text.count(":") > limits.items:
        raise DocumentError(f"{where}: more than {limits.items} values: give a smaller document")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise DocumentError(f"{where}: nested too deeply: give a valid document") from error
    except ValueError as error:  # includes integers with more digits than Python converts
        raise DocumentError(f"{where}: invalid JSON: {_first_line(error)}") from error
    check_limits(value, where, limits)
    return value


def read_yaml(path: Path, what: str, limits: DocumentLimits = DEFAULT_LIMITS) -> Any:
    """Read a YAML document with the safe loader, without aliases.

    Raises:
        DocumentError: as `read_text`, invalid YAML, an alias, or a limit is exceeded.
    """
    return parse_yaml(read_text(path, what, limits.size), f"{what} {path}", limits)


def parse_yaml(text: str, where: str, limits: DocumentLimits = DEFAULT_LIMITS) -> Any:
    """Parse YAML text with the safe loader; `where` opens every error message.

    Aliases are refused, because a short document can expand to an unbounded one.

    Raises:
        DocumentError: invalid YAML, an alias, or a limit is exceeded.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    items = depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise DocumentError(f"{where}: aliases are not accepted: repeat the value")
            items += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            _check_extent(items, depth, where, limits)
        value = yaml.load(text, Loader=loader)
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"{where}: invalid YAML: {_first_line(error)}") from error
    check_limits(value, where, limits)
    return value


def read_arrays(path: Path, what: str, max_bytes: int = 512 * _MB) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of an .npz file.

    Args:
        path: the file.
        what: name of the document in messages.
        max_bytes: largest accepted size of the file, and of its arrays in total.

    Raises:
        DocumentError: as `read_bytes`, not a valid .npz file, object arrays, or a limit is exceeded.
    """
    import numpy as np

    content = io.BytesIO(read_bytes(path, what, max_bytes))
    try:
        members = zipfile.ZipFile(content).infolist()
        if len(members) > _MAX_ARRAYS or sum(member.file_size for member in members) > max_bytes:
            raise DocumentError(f"{what} {path}: more than {_MAX_ARRAYS} arrays or {max_bytes} bytes")
        with np.load(content, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except DocumentError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError, EOFError) as error:
        raise DocumentError(f"{what} {path}: invalid .npz file: {_first_line(error)}") from error
    except (zipfile.BadZipFile, zlib.error, SyntaxError) as error:
        raise DocumentError(f"{what} {path}: invalid .npz file: {_first_line(error)}") from error


def check_limits(value: Any, where: str, limits: DocumentLimits = DEFAULT_LIMITS) -> None:
    """Check depth, number of values, length of strings and range of numbers of a parsed document.

    Raises:
        DocumentError: a limit is exceeded, a number is not finite, or a value has another type than in JSON
            (dates are accepted).
    """
    items = 0
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        items += 1
        if isinstance(one, dict | list):
            depth += 1
            values = [*one.keys(), *one.values()] if isinstance(one, dict) else one
            waiting.extend((inner, depth) for inner in values)
        else:
            _check_scalar(one, where, limits)
        _check_extent(items, depth, where, limits)


def _check_extent(items: int, depth: int, where: str, limits: DocumentLimits) -> None:
    if items > limits.items:
        raise DocumentError(f"{where}: more than {limits.items} values: give a smaller document")
    if depth > limits.depth:
        raise DocumentError(f"{where}: nested deeper than {limits.depth}: give a valid document")


def _check_scalar(value: Any, where: str, limits: DocumentLimits) -> None:
    if not isinstance(value, str | int | float | datetime.date | None):
        raise DocumentError(f"{where}: a value of type {type(value).__name__}: give a valid document")
    if isinstance(value, str) and len(value) > limits.text:
        raise DocumentError(f"{where}: a text of {len(value)} characters: give at most {limits.text}")
    if isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(f"{where}: a number is not finite: give finite numbers")
    if isinstance(value, int | float) and abs(value) > limits.number:
        raise DocumentError(f"{where}: a number is larger than {limits.number:g}: give a valid document")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(" ".join(lines).split())[:300]
