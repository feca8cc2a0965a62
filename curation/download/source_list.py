"""Lists of ids and addresses: text or CSV, with or without a header, with repeats and spans."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from talkingpose.io.documents import read_text
from talkingpose.io.errors import UserError

SUFFIXES = frozenset({".txt", ".csv", ".tsv", ".list"})

_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_YOUTUBE_HOSTS = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "www.", "m.", "music.")
    for name in ("youtube.com", "youtube-nocookie.com", "youtu.be")
)
_YOUTUBE_PATH = re.compile(r"/(?:shorts|embed|live|v|e)/([A-Za-z0-9_-]{11})(?:/|$)")
# Characters that an address must escape (RFC 3986); `#` and `%` are handled separately.
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f-\x9f\"'<>\\^`{|}]")
_MAX_ADDRESS = 2048
# Longer cells are not times; the patterns below take quadratic time on long digits.
_MAX_TIME = 32
# Two million addresses of 100 characters.
_MAX_LIST_BYTES = 256 << 20
_SECONDS = re.compile(r"[-+]?(\d+\.?\d*|\.\d+|nan|inf)", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)")
_MAX_SHOWN = 80
_ADDRESS_NAMES = frozenset(
    {"id", "ids", "video_id", "videoid", "video", "youtube_id", "yt_id", "ytid", "youtube", "youtube_url"}
    | {"video_url", "url", "urls", "address", "link", "source", "source_id"}
)
_START_NAMES = frozenset({"start", "start_s", "start_sec", "start_time", "start_seconds", "begin", "from"})
_END_NAMES = frozenset({"end", "end_s", "end_sec", "end_time", "end_seconds", "stop", "to"})


class SourceListError(UserError):
    """A list that cannot be read, or an entry that is neither an id nor an address."""


@dataclass(frozen=True)
class RemoteSource:
    """A video to download.

    Attributes:
        source: `youtube`, or `url` for every other address.
        source_id: YouTube id, or 16 hex digits of the SHA-256 of an address.
        url: address in normal form.
        spans: requested (start, end) in seconds; empty for the whole video.
    """

    source: str
    source_id: str
    url: str
    spans: tuple[tuple[float, float], ...] = ()

    @property
    def key(self) -> str:
        """Key of the video in folders and tables: 20 hex digits, free of any text of a list."""
        return source_key(self.source, self.source_id)


@dataclass(frozen=True)
class SourceList:
    """Content of a list.

    Attributes:
        wanted: every video once, in the order of first mention, with the spans of all its rows.
        num_rows: number of rows with an entry, refused ones included.
        refused: one line for each entry that is neither an id nor an address.
    """

    wanted: tuple[RemoteSource, ...]
    num_rows: int
    refused: tuple[str, ...]


def source_key(source: str, source_id: str) -> str:
    """Return the key of a video, see `RemoteSource.key`."""
    return hashlib.sha256(f"{source}:{source_id}".encode()).hexdigest()[:20]


def parse_address(text: str, spans: tuple[tuple[float, float], ...] = ()) -> RemoteSource:
    """Parse a YouTube id, any form of a YouTube address, or any other http address.

    Raises:
        SourceListError: the text is none of these.
    """
    text = text.strip()
    if _YOUTUBE_ID.fullmatch(text):
        return _youtube(text, spans)
    problem = f"{shown(text)}: neither a YouTube id nor an http address: correct or remove it"
    if len(text) > _MAX_ADDRESS or _NO_ADDRESS.search(text):
        raise SourceListError(problem)
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise SourceListError(problem) from error
    if parts.scheme.lower() not in ("http", "https") or not host:
        raise SourceListError(problem)
    if parts.username is not None or parts.password is not None:
        where = f"{parts.scheme}://…@{host}"
        raise SourceListError(f"{where}: a name or password would be published: use --cookies")
    if host in _YOUTUBE_HOSTS and (video := _youtube_id(host, parts.path, parts.query)):
        return _youtube(video, spans)
    name = f"[{host}]" if ":" in host else host
    location = name if port is None else f"{name}:{port}"
    url = urlunsplit((parts.scheme.lower(), location, parts.path or "/", parts.query, ""))
    return RemoteSource("url", hashlib.sha256(url.encode()).hexdigest()[:16], url, spans)


def read_list(path: Path) -> SourceList:
    """Read a text or CSV list.

    The header of a CSV is optional. Without one, the column with the most ids and addresses is used, and two
    columns of times behind it are the span, in seconds or as [HH:]MM:SS. A text list has one entry per line,
    with or without a span; `#` starts a comment.

    Raises:
        DocumentError: the list cannot be read, is not a regular file, not UTF-8, or too large.
        SourceListError: it is not text, or has no entry.
    """
    text = read_text(path, "list", max_bytes=_MAX_LIST_BYTES)
    if "\x00" in text:
        raise SourceListError(f"list {path}: not text: save it as a text or CSV file")
    rows = list(_rows(text, path.suffix.lower()))
    if not rows:
        raise SourceListError(f"list {path}: no entry: write one id or address per line")
    return _merged(_entries(rows), path.name)


def merge(wanted: Iterable[RemoteSource]) -> list[RemoteSource]:
    """Return every video once, in the order of first mention; a row without a span requests all."""
    spans: dict[str, set[tuple[float, float]] | None] = {}
    first: dict[str, RemoteSource] = {}
    for one in wanted:
        key = one.key
        first.setdefault(key, one)
        known = spans.setdefault(key, set())
        spans[key] = None if known is None or not one.spans else known | set(one.spans)
    return [
        RemoteSource(one.source, one.source_id, one.url, tuple(sorted(spans[key] or ())))
        for key, one in first.items()
    ]


def shown(text: str) -> str:
    """Return an entry for messages: quoted, control characters escaped, truncated."""
    cut = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
    return repr(cut)


def _youtube(video: str, spans: tuple[tuple[float, float], ...]) -> RemoteSource:
    return RemoteSource("youtube", video, f"https://www.youtube.com/watch?v={video}", spans)


def _youtube_id(host: str, path: str, query: str) -> str | None:
    if host.endswith("youtu.be"):
        candidate = path.strip("/").split("/")[0]
    elif path.rstrip("/") == "/watch":
        candidate = parse_qs(query).get("v", [""])[0]
    else:
        found = _YOUTUBE_PATH.match(path)
        candidate = found[1] if found else ""
    return candidate if _YOUTUBE_ID.fullmatch(candidate) else None


@dataclass(frozen=True)
class _Row:
    line: int
    cells: list[str]


def _rows(text: str, suffix: str) -> Iterator[_Row]:
    """Yield rows that are not empty; rows of text lists have one cell."""
    lines = text.splitlines()
    if suffix in (".csv", ".tsv"):
        delimiter = (
            "\t" if suffix == ".tsv" else max(",;\t", key=lambda sign: lines[0].count(sign) if lines else 0)
        )
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield _Row(reader.line_num, stripped)
        except csv.Error as error:
            raise SourceListError(f"list: line {reader.line_num}: {error}: correct the CSV") from error
        return
    for number, line in enumerate(lines, 1):
        # An address may contain `#`, so only one behind a space starts a comment.
        entry = re.sub(r"(^|\s)#.*", "", line).strip()
        if entry:
            cells = entry.split()
            # "ID START END" is a row; anything else with spaces is one entry, which is refused.
            yield _Row(number, cells if len(cells) == 3 and _span(*cells[1:]) else [entry])


def _entries(rows: list[_Row]) -> Iterator[tuple[_Row, str, str, str]]:
    """Yield row, address, start and end of each entry; start and end are empty without a span."""
    names = [cell[:_MAX_SHOWN].casefold().replace(" ", "_").replace("-", "_") for cell in rows[0].cells]
    address = next((i for i, name in enumerate(names) if name in _ADDRESS_NAMES), None)
    if address is not None:
        start = next((i for i, name in enumerate(names) if name in _START_NAMES), None)
        end = next((i for i, name in enumerate(names) if name in _END_NAMES), None)
        rows = rows[1:]
    else:
        address = _address_column(rows)
        start = end = None
        if len(rows) > 1 and _is_unknown_header(_cell(rows[0], address), _cell(rows[1], address)):
            rows = rows[1:]
        # Columns without names are a span if both look like times.
        for row in rows:
            times = _cell(row, address + 1), _cell(row, address + 2)
            yield row, _cell(row, address), *(times if all(map(_is_time, times)) else ("", ""))
        return
    for row in rows:
        yield row, _cell(row, address), _cell(row, start), _cell(row, end)


def _is_unknown_header(first: str, second: str) -> bool:
    """Return whether the first row is a header with unknown names rather than an invalid entry."""
    word = re.fullmatch(r"[A-Za-z][A-Za-z0-9 _-]{0,30}", first) is not None
    return word and not _is_address(first) and _is_address(second)


def _cell(row: _Row, index: int | None) -> str:
    return row.cells[index] if index is not None and index < len(row.cells) else ""


def _address_column(rows: list[_Row]) -> int:
    looked_at = rows[:100]
    width = max(len(row.cells) for row in looked_at)
    return max(range(width), key=lambda i: (sum(_is_address(_cell(row, i)) for row in looked_at), -i))


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except SourceListError:
        return False
    return True


def _span(start: str, end: str) -> tuple[float, float] | None:
    first, last = _seconds(start), _seconds(end)
    return (first, last) if 0 <= first < last and math.isfinite(last) else None


def _seconds(text: str) -> float:
    """Return the seconds of `75`, `75.5`, `1:15` or `0:01:15.5`; NaN for anything else."""
    if len(text) > _MAX_TIME:
        return math.nan
    if _SECONDS.fullmatch(text):
        return float(text)
    found = _CLOCK.fullmatch(text)
    return int(found[1] or 0) * 3600 + int(found[2]) * 60 + float(found[3]) if found else math.nan


def _is_time(text: str) -> bool:
    return len(text) <= _MAX_TIME and bool(_SECONDS.fullmatch(text) or _CLOCK.fullmatch(text))


def _merged(entries: Iterable[tuple[_Row, str, str, str]], name: str) -> SourceList:
    wanted, refused, num_rows = [], [], 0
    for row, address, start, end in entries:
        num_rows += 1
        span = _span(start, end)
        try:
            if (start or end) and span is None:
                raise SourceListError(
                    f"span {shown(start)} to {shown(end)}: give start and end in seconds or as [HH:]MM:SS, "
                    "the end after the start"
                )
            wanted.append(parse_address(address, (span,) if span else ()))
        except SourceListError as error:
            refused.append(f"{name}: line {row.line}: {error}")
    return SourceList(tuple(merge(wanted)), num_rows, tuple(refused))
