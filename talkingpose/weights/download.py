"""Resumable download of one URL into a partial file, with requests.

Own code, because no library that was considered does this: pooch restarts an interrupted download, and
`huggingface_hub.file_download.http_get` retries for seconds on a machine without network, accepts a truncated
body of unknown length and writes more bytes than expected.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from talkingpose.io.progress import Progress
from talkingpose.weights.errors import UnreachableError, WeightsError

if TYPE_CHECKING:
    import requests

# Pauses before each retry; a try that received a chunk or more restarts the sequence.
PAUSES_S = (1.0, 4.0)

_TIMEOUT_S = 60.0  # without any data
_CHUNK = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_SPARE_BYTES = 16 << 20


class _RetryError(Exception):
    """The connection broke off or the server has a temporary failure."""


def download(url: str, part: Path, *, size: int | None, resume: bool, label: str, progress: Progress) -> bool:
    """Download a URL into a partial file.

    Args:
        url: https, or http on this machine.
        part: partial file; it is kept after an error.
        size: expected size in bytes, None if unknown.
        resume: continue after the bytes that `part` holds. The caller verifies the result, because the server
            may have changed the file in between.
        label: name of the file for the progress display.
        progress: receives bytes.

    Returns:
        True if the file consists of several responses.

    Raises:
        UnreachableError: there is no connection.
        WeightsError: the server refuses, offers another size or fails repeatedly; the disk is full.
    """
    pauses = list(PAUSES_S)
    while True:
        before = _size(part)
        try:
            if not resume:
                part.unlink(missing_ok=True)
            return _download_once(url, part, size, label, progress)
        except _RetryError as error:
            if _size(part) >= before + _CHUNK:
                pauses = list(PAUSES_S)
            if not pauses:
                raise WeightsError(f"{_host(url)}: {error}") from error
            time.sleep(pauses.pop(0))


def require_space(folder: Path, needed: int) -> None:
    """Check that a folder has room for `needed` bytes.

    Raises:
        WeightsError: the disk does not have that much free space.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise WeightsError(
            f"{folder}: {free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB needed: "
            "free some space or give another --dest"
        )


def _download_once(url: str, part: Path, size: int | None, label: str, progress: Progress) -> bool:
    start = _size(part)
    if size is not None and start > size:
        start = 0
    if start and start == size:
        return True
    with _open(url, start) as response:
        if start and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise _RetryError("the file changed on the server")
        start, total = _extent(response, start)
        if size is not None and total is not None and total != size:
            raise WeightsError(f"{_host(url)}: offers {total:,} bytes, expected {size:,}")
        if total is None and size is None and "Transfer-Encoding" not in response.headers:
            # A connection that breaks off would look like the end of the file.
            raise WeightsError(f"{_host(url)}: does not state the size of the file")
        total = size or total
        require_space(part.parent, (total or 0) - start)
        progress.start(label, total, "B")
        progress.advance(start)
        _copy(response, part, start, total, progress)
    return start > 0


def _open(url: str, start: int) -> requests.Response:
    import requests
    from urllib3.exceptions import ProtocolError

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> str | None:
            target = super().get_redirect_target(resp)
            if target and resp.url.startswith("https:") and urlsplit(target).scheme not in ("", "https"):
                raise WeightsError(f"{_host(resp.url)}: redirects to an unencrypted connection")
            return target

    headers = {"Accept-Encoding": "identity", "User-Agent": "talkingpose"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = Session().get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
    except requests.exceptions.SSLError as error:
        raise WeightsError(f"{_host(url)}: no valid TLS connection") from error
    except (requests.exceptions.ReadTimeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _RetryError("no response") from error
    except requests.exceptions.ConnectionError as error:
        if isinstance(error.args[0] if error.args else None, ProtocolError):  # closed without a response
            raise _RetryError("no response") from error
        raise UnreachableError(f"no connection to {_host(url)}") from error
    except requests.exceptions.RequestException as error:
        raise WeightsError(f"{_host(url)}: invalid response ({type(error).__name__})") from error
    return response


def _extent(response: requests.Response, start: int) -> tuple[int, int | None]:
    """Return the offset of the response in the file and the size of the file."""
    status = response.status_code
    if status in (408, 425, 429) or status >= 500:
        raise _RetryError(f"HTTP {status} {response.reason}")
    if status == HTTPStatus.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start:
            raise WeightsError("the server sends another range than requested")
        return start, int(match[3])
    if status != HTTPStatus.OK:
        raise WeightsError(f"{_host(response.url)}: HTTP {status} {response.reason}")
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _copy(response: requests.Response, part: Path, start: int, total: int | None, progress: Progress) -> None:
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
        for chunk in _chunks(response):
            done += len(chunk)
            if total is not None and done > total:
                raise WeightsError(f"the server sends more than {total:,} bytes")
            file.write(chunk)
            progress.advance(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _RetryError(f"breaks off at {done:,} of {total:,} bytes")


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as it arrives."""
    from urllib3.exceptions import HTTPError

    try:
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise _RetryError("the connection broke off") from error


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _host(url: str) -> str:
    return urlsplit(url).netloc
