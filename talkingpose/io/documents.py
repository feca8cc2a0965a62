"""Guarded reader of documents that strangers wrote: JSON, YAML and text with limits on every dimension."""

from __future__ import annotations

import json
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkingpose.io.errors import UserError

_MB = 1 << 20


class DocumentError(UserError):
    """A document that cannot be read or exceeds a limit."""


@dataclass(frozen=True)
class Limits:
    """Limits of a document.

    Attributes:
        size: of the file, in bytes.
        depth: of nested lists and mappings.
        items: number of values in the whole document.
        text: length of one string, in characters.
        number: largest absolute value of a number. Non-finite numbers are always refused.
    """

    size: int = 16 * _MB
    depth: int = 32
    items: int = 1_000_000
    text: int = 1_000_000
    number: float = 1e18


DEFAULT_LIMITS = Limits()


def read_bytes(path: Path, what: str, max_bytes: int = DEFAULT_LIMITS.size) -> bytes:
    """Read a regular file of bounded size.

    Args:
        path: the file.
        what: name of the document in messages, such as "run" or "config".
        max_bytes: largest accepted size.

    Raises:
        DocumentError: there is no such file, it is not a regular file, it is too large or unreadable.
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


def read_json(path: Path, what: str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Read a JSON document.

    Raises:
        DocumentError: as `read_text`, invalid JSON, NaN or Infinity, or a limit is exceeded.
    """
    return parse_json(read_text(path, what, limits.size), f"{what} {path}", limits)


def parse_json(text: str, where: str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Parse JSON text; `where` opens every error message.

    Raises:
        DocumentError: invalid JSON, NaN or Infinity, or a limit is exceeded.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise DocumentError(f"{where}: nested too deeply: give a valid document") from error
    except ValueError as error:  # includes integers with more digits than Python converts
        raise DocumentError(f"{where}: invalid JSON: {_first_line(error)}") from error
    check_limits(value, where, limits)
    return value


def read_yaml(path: Path, what: str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Read a YAML document with the safe loader, without aliases.

    Raises:
        DocumentError: as `read_text`, invalid YAML, an alias, or a limit is exceeded.
    """
    return parse_yaml(read_text(path, what, limits.size), f"{what} {path}", limits)


def parse_yaml(text: str, where: str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Parse YAML text with the safe loader; `where` opens every error message.

    Aliases are refused, because a short document can expand to an unbounded one.

    Raises:
        DocumentError: invalid YAML, an alias, or a limit is exceeded.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("aliases are not accepted")
            return super().compose_node(parent, index)

    try:
        value = yaml.load(text, Loader=Loader)
    except RecursionError as error:
        raise DocumentError(f"{where}: nested too deeply: give a valid document") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise DocumentError(f"{where}: invalid YAML: {_first_line(error)}") from error
    check_limits(value, where, limits)
    return value


def check_limits(value: Any, where: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Check depth, number of items, length of strings and range of numbers of a parsed document.

    Raises:
        DocumentError: a limit is exceeded or a number is not finite.
    """
    items = 0
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        items += 1
        if items > limits.items:
            raise DocumentError(f"{where}: more than {limits.items} values: give a smaller document")
        if isinstance(one, dict | list):
            if depth > limits.depth:
                raise DocumentError(f"{where}: nested deeper than {limits.depth}: give a valid document")
            values = [*one.keys(), *one.values()] if isinstance(one, dict) else one
            waiting.extend((inner, depth + 1) for inner in values)
        else:
            _check_scalar(one, where, limits)


def _check_scalar(value: Any, where: str, limits: Limits) -> None:
    if isinstance(value, str) and len(value) > limits.text:
        raise DocumentError(f"{where}: a text of {len(value)} characters: at most {limits.text} are read")
    if isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(f"{where}: a number is not finite: give finite numbers")
    if isinstance(value, int | float) and abs(value) > limits.number:
        raise DocumentError(f"{where}: a number is larger than {limits.number:g}: give a valid document")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(" ".join(lines).split())[:300]
