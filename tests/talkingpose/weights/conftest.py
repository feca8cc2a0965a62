"""Loopback server with configurable failures, and lock files of its small stand-in files."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from talkingpose.weights import download as download_module


@dataclass
class Answer:
    """Response of the server to one request.

    Attributes:
        data: content of the file.
        status: HTTP status; no body unless 200.
        ranges: supports Range.
        cut: bytes after which the connection closes.
        length: claimed length instead of the true one; 0 for no claim.
        pause: seconds before each 16 kB.
        location: URL of a redirect.
    """

    data: bytes = b""
    status: int = 200
    ranges: bool = True
    cut: int | None = None
    length: int | None = None
    pause: float = 0.0
    location: str = ""


@dataclass
class Server:
    """Answers per path: each request takes the next one; the last one stays."""

    address: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def serve(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return f"{self.address}{path}"

    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.requests]


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            server.requests.append((self.path, asked))
            queue = server.answers[self.path]
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
            self.close_connection = True
            if answer.location:
                self.send_response(302)
                self.send_header("Location", answer.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if answer.status != 200:
                self.send_error(answer.status)
                return
            start = 0
            if asked and answer.ranges:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(answer.data) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(answer.data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(answer.data) - 1}/{len(answer.data)}")
            if answer.length != 0:
                self.send_header("Content-Length", str(answer.length or len(answer.data) - start))
            self.end_headers()
            end = len(answer.data) if answer.cut is None else min(start + answer.cut, len(answer.data))
            try:
                for offset in range(start, end, 16384):
                    time.sleep(answer.pause)
                    self.wfile.write(answer.data[offset : min(offset + 16384, end)])
                    self.wfile.flush()
            except OSError:
                return  # the client was killed

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download_module, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    listening = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    listening.daemon_threads = True
    state = Server(f"http://127.0.0.1:{listening.server_address[1]}")
    listening.RequestHandlerClass = _handler(state)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield state
    listening.shutdown()
    listening.server_close()
    thread.join()


CONTENT = random.Random(5).randbytes(300_000)


def entry(address: str, data: bytes = CONTENT, **changes: Any) -> dict[str, Any]:
    """Return a valid entry of a lock file for these bytes."""
    return {
        "id": "net",
        "what": "a stand-in",
        "file": "nets/net.bin",
        "address": address,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "MIT",
        "commercial": "yes",
        "used_by": ["metric-a"],
    } | changes


def unpublished(address: str, **changes: Any) -> dict[str, Any]:
    """Return an entry without a published hash."""
    return entry(address, sha256=None, unverified="nobody publishes it", **changes)


def write_lock(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps(entries), "utf-8")  # JSON is YAML
    return path


@pytest.fixture(name="content")
def _content() -> bytes:
    return CONTENT


@pytest.fixture(name="make")
def _make(tmp_path: Path) -> Any:
    """Return the builders above; test files cannot import this one."""

    class Make:
        answer = staticmethod(Answer)
        entry = staticmethod(entry)
        unpublished = staticmethod(unpublished)

        def __init__(self) -> None:
            self.count = 0

        def lock(self, *entries: dict[str, Any]) -> Path:
            self.count += 1
            return write_lock(tmp_path / f"lock{self.count}.yaml", *entries)

    return Make()
