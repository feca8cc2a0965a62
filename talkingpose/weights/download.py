"""One file from one address into a part file: resumed where the server allows it, never trusted."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from talkingpose.weights.errors import UnreachableError, WeightsError

# A server that sends nothing for this long is given up, not one that is slow.
SILENCE_S = 60.0
# Pauses before each new try of the same address; a try that brought a chunk or more starts the row anew.
PAUSES_S = (1.0, 4.0)

_CHUNK = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
# More than the record and the file system's own need.
_SPARE_BYTES = 16 << 20


class _CutError(Exception):
    """The connection ended early, or the server is unwell: the same address may be tried again."""


@dataclass(frozen=True)
class _Part:
    """A part file and, beside it, what tells whether the server still has the same file."""

    path: Path

    @property
    def notes(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self, address: str) -> str | None:
        """The ETag or date under which the part was begun; None where it cannot be continued."""
        try:
            notes = json.loads(self.notes.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        good = isinstance(notes, dict) and notes.get("address") == address
        return notes["validator"] if good and isinstance(notes.get("validator"), str) else None

    def begin(self, address: str, validator: str | None) -> None:
        """Forget what was there; a part without a validator is never continued."""
        self.discard()
        if validator is not None:
            self.notes.write_text(json.dumps({"address": address, "validator": validator}), "utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


class _HttpsStays(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to an open connection."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise urllib.error.HTTPError(newurl, code, "redirect to an open connection refused", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    address: str,
    part: Path,
    *,
    size: int | None,
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> bool:
    """Bring all bytes of an address into `part`; what `part` holds of it already is kept where that is safe.

    Args:
        address: https, or http on this machine.
        part: file to write; it stays after an error, to be continued.
        size: bytes there should be, None where unknown.
        on_progress: called with bytes so far and bytes in all (None where unknown).

    Returns:
        whether it came in one piece, not as the continuation of an earlier part.

    Raises:
        UnreachableError: no connection.
        WeightsError: the server refuses, offers another size or breaks off again and again; no room.
    """
    draft = _Part(part)
    pauses = list(PAUSES_S)
    while True:
        before = draft.size()
        try:
            return _once(address, draft, size, on_progress)
        except _CutError as cut:
            if draft.size() >= before + _CHUNK:
                pauses = list(PAUSES_S)
            if not pauses:
                raise WeightsError(f"{_host(address)}: {cut}") from cut
            time.sleep(pauses.pop(0))


def discard(part: Path) -> None:
    """Remove a part file and its notes."""
    _Part(part).discard()


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin what will not fit.

    Raises:
        WeightsError: the disk has less free than `needed` bytes and a little more.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise WeightsError(
            f"{folder}: {free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB needed: "
            "make room or give another --dest"
        )


def _once(
    address: str, part: _Part, size: int | None, on_progress: Callable[[int, int | None], None]
) -> bool:
    """One request, from where the part file ends; tells whether that was its beginning."""
    start = part.size()
    validator = part.validator(address)
    if validator is None or (size is not None and start > size):
        start = 0
    if start and start == size:
        return False
    headers = {"Accept-Encoding": "identity", "User-Agent": "talkingpose"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": str(validator)}
    try:
        response = _open(urllib.request.Request(address, headers=headers))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return False  # all of it was here already
            part.discard()
            raise _CutError("the server has another file than before") from error
        answer = f"answers {error.code} {error.reason}"
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _CutError(answer) from error
        raise WeightsError(f"{_host(address)}: {answer}") from error
    with response:
        start, total = _place(response, start)
        if size is not None and total is not None and total != size:
            raise WeightsError(f"{_host(address)}: offers {total:,} bytes, it should be {size:,}")
        if total is None and size is None and not response.chunked:
            # Then a connection that broke off would look like the end of the file.
            raise WeightsError(f"{_host(address)}: does not say how large the file is")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise WeightsError(f"{_host(address)}: sends the file in another encoding than asked")
        require_space(part.path.parent, (total or size or 0) - start)
        if start == 0:
            part.begin(address, _validator(response))
        _copy(response, part, start, size or total, on_progress)
        return start == 0


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    opener = urllib.request.build_opener(_HttpsStays)
    try:
        return cast(http.client.HTTPResponse, opener.open(request, timeout=SILENCE_S))
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            raise WeightsError(f"{_host(request.full_url)}: {error.reason}") from error
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise UnreachableError(f"no connection to {_host(request.full_url)} ({reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(f"no sound answer ({type(error).__name__})") from error


def _place(response: http.client.HTTPResponse, asked: int) -> tuple[int, int | None]:
    """Where in the file the answer begins, and the size of the whole file."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != asked:
            raise WeightsError("the server sends another part of the file than asked")
        return asked, int(match[3])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What If-Range may carry: a strong ETag, else the date (RFC 9110, section 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _copy(
    response: http.client.HTTPResponse,
    part: _Part,
    start: int,
    total: int | None,
    on_progress: Callable[[int, int | None], None],
) -> None:
    done = start
    on_progress(done, total)
    try:
        with part.path.open("r+b" if start else "wb") as stream:
            stream.truncate(start)
            stream.seek(start)
            while chunk := _read(response):
                done += len(chunk)
                if total is not None and done > total:
                    raise WeightsError(f"the server sends more than {total:,} bytes")
                stream.write(chunk)
                on_progress(done, total)
            _sync(stream)
    except OSError as error:
        raise WeightsError(f"{part.path.parent}: cannot be written ({error.strerror})") from error
    if total is not None and done < total:
        raise _CutError(f"breaks off at {done:,} of {total:,} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        # What came before is in the part file; the caller sees how far it reached.
        with suppress(OSError):
            response.close()
        raise _CutError(f"breaks off ({type(error).__name__})") from error


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _host(address: str) -> str:
    return urlsplit(address).netloc
