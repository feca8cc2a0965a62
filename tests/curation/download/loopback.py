"""A server on the loopback interface: footage, every kind of failure, and a log of what it is asked."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head><body><form>name</form></body></html>"
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@dataclass(frozen=True)
class Asked:
    """One request: when it came, where, what for, and what was answered."""

    time: float
    host: str
    path: str
    range: str | None
    status: int
    sent: int


class Loopback:
    """Servers on some addresses of 127/8 with one set of files, behaviours and one log.

    `files`: bytes by name. `infos`: JSON for the fake site by id, or a function of how often it was asked.
    Paths are /BEHAVIOUR/NAME; how often each path was asked decides about behaviours that change.
    """

    def __init__(self, files: dict[str, bytes] | None = None, ports: Sequence[int] = (0, 0, 0)) -> None:
        self.files = files or {}
        self.infos: dict[str, dict[str, Any] | Callable[[int], dict[str, Any]]] = {}
        self.log: list[Asked] = []
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.stall_s = 1.5
        self.servers = [self._server(*place) for place in zip(HOSTS, ports, strict=True)]

    def __enter__(self) -> Loopback:
        for server in self.servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(server.server_address[1] for server in self.servers)

    def url(self, path: str, host: int = 0) -> str:
        address, port = self.servers[host % len(HOSTS)].server_address[:2]
        return f"http://{address!s}:{port}/{path}"

    def count(self, path: str) -> int:
        """Return the number of earlier requests for this path."""
        with self._lock:
            self._asked[path] += 1
            return self._asked[path] - 1

    def note(self, asked: Asked) -> None:
        with self._lock:
            self.log.append(asked)

    def requests(self, *parts: str) -> list[Asked]:
        with self._lock:
            return [asked for asked in self.log if all(part in asked.path for part in parts)]

    def _server(self, host: str, port: int) -> ThreadingHTTPServer:
        outer = self

        class Handler(_Handler):
            site = outer

        server = ThreadingHTTPServer((host, port), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # clients that hang up are part of the test
        return server


class _Handler(BaseHTTPRequestHandler):
    site: Loopback
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.began, self.status, self.sent = time.time(), 0, 0
        parts = urlsplit(self.path)
        behaviour, _, name = parts.path.strip("/").partition("/")
        try:
            if parts.path == "/watch":
                self._info(parse_qs(parts.query)["v"][0])
            else:
                getattr(self, f"_{behaviour}")(name, self.site.count(self.path))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            host = str(self.server.server_address[0])
            asked = Asked(self.began, host, self.path, self.headers.get("Range"), self.status, self.sent)
            self.site.note(asked)

    # What is served well

    def _ok(self, name: str, _: int) -> None:
        data, start = self._wanted(name)
        if start is None:
            self._answer(200, {"Content-Length": len(data)}, data)
            return
        if start >= len(data):
            self._answer(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": 0})
            return
        end = re.match(r"bytes=\d+-(\d+)", self.headers.get("Range") or "")
        piece = data[start : int(end[1]) + 1 if end else None]
        headers = {
            "Content-Length": len(piece),
            "Content-Range": f"bytes {start}-{start + len(piece) - 1}/{len(data)}",
        }
        self._answer(206, headers, piece)

    def _norange(self, name: str, _: int) -> None:
        data = self.site.files[name]
        self._answer(200, {"Content-Length": len(data)}, data)

    def _moved(self, name: str, _: int) -> None:
        self._answer(302, {"Location": f"/ok/{name}?moved", "Content-Length": 0})

    def _drip(self, name: str, _: int) -> None:
        self._slowly(name, share=8, pause_s=0.06)

    def _steady(self, name: str, _: int) -> None:
        """In 40 shares, from where it is asked for."""
        data, start = self._wanted(name)
        first = start or 0
        if first >= len(data):
            self._ok(name, _)
            return
        headers: dict[str, Any] = {"Content-Length": len(data) - first}
        if start is not None:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self._head(200 if start is None else 206, headers)
        step = len(data) // 40
        for place in range(first, len(data), step):
            self._send(data[place : place + step])
            time.sleep(0.03)

    def _nothing(self, name: str, _: int) -> None:
        """Range requests past the end get an empty answer 206 instead of 416."""
        data, start = self._wanted(name)
        if start is None or start < len(data):
            self._ok(name, _)
        else:
            self._answer(206, {"Content-Length": 0, "Content-Range": f"bytes */{len(data)}"})

    # What goes wrong at first

    def _twice(self, rest: str, number: int) -> None:
        """/twice/STATUS/NAME: that status two times, then the file."""
        status, _, name = rest.partition("/")
        self._answer(int(status), {"Content-Length": 0}) if number < 2 else self._ok(name, number)

    def _after(self, rest: str, number: int) -> None:
        """/after/SECONDS/NAME: one 429 with Retry-After, then the file."""
        seconds, _, name = rest.partition("/")
        if number == 0:
            self._answer(429, {"Retry-After": seconds, "Content-Length": 0})
        else:
            self._ok(name, number)

    def _hang(self, name: str, number: int) -> None:
        """The first download stalls; the request before it only looks."""
        self._stall(name, number) if number == 1 else self._ok(name, number)

    def _cut(self, name: str, number: int) -> None:
        """The connection breaks at half of the file, once."""
        data, start = self._wanted(name)
        if start is not None or number == 0:
            self._ok(name, number)
            return
        self._answer(200, {"Content-Length": len(data)}, data[: len(data) // 2])
        self.close_connection = True

    # What never goes well

    def _status(self, rest: str, _: int) -> None:
        """/status/STATUS/NAME."""
        self._answer(int(rest.split("/")[0]), {"Content-Length": 0})

    def _stall(self, name: str, _: int) -> None:
        data = self.site.files[name]
        self._head(200, {"Content-Type": "video/mp4", "Content-Length": len(data)})
        self.wfile.flush()
        time.sleep(self.site.stall_s)
        self.close_connection = True

    def _broken(self, name: str, _: int) -> None:
        """No attempt ever comes further than byte 1000."""
        data, start = self._wanted(name)
        first = start or 0
        headers: dict[str, Any] = {"Content-Length": max(len(data) - first, 0)}
        if start is not None:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self._answer(200 if start is None else 206, headers, data[first:1000])
        self.close_connection = True

    def _long(self, name: str, _: int) -> None:
        """The length is larger than the file, and nothing can be continued."""
        data = self.site.files[name]
        self._answer(200, {"Content-Length": len(data) + 500}, data)
        self.close_connection = True

    def _short(self, name: str, _: int) -> None:
        """The length is smaller than the file."""
        data = self.site.files[name]
        self._answer(200, {"Content-Length": len(data) - 700}, data[:-700])

    def _login(self, _: str, __: int) -> None:
        self._answer(200, {"Content-Type": "text/html", "Content-Length": len(LOGIN_PAGE)}, LOGIN_PAGE)

    def _disguised(self, _: str, __: int) -> None:
        self._answer(200, {"Content-Length": len(LOGIN_PAGE)}, LOGIN_PAGE)

    def _loop(self, name: str, _: int) -> None:
        self._answer(302, {"Location": f"/loop/{name}", "Content-Length": 0})

    def _trickle(self, name: str, _: int) -> None:
        self._slowly(name, share=80, pause_s=0.05)

    def _reset(self, _: str, __: int) -> None:
        # Linger of 0 makes the close a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        raise ConnectionResetError

    # The fake site

    def _info(self, video: str) -> None:
        found = self.site.infos[video]
        number = self.site.count(self.path)
        document = found(number) if callable(found) else found
        status = document.get("status", 200)
        data = json.dumps(document).encode()
        self._answer(status, {"Content-Type": "application/json", "Content-Length": len(data)}, data)

    # Answers

    def _wanted(self, name: str) -> tuple[bytes, int | None]:
        data = self.site.files[name]
        found = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        return data, int(found[1]) if found else None

    def _slowly(self, name: str, share: int, pause_s: float) -> None:
        """In so many shares, always from the beginning."""
        data = self.site.files[name]
        self._head(200, {"Content-Type": "video/mp4", "Content-Length": len(data)})
        step = max(len(data) // share, 1)
        for place in range(0, len(data), step):
            self._send(data[place : place + step])
            time.sleep(pause_s)

    def _answer(self, status: int, headers: Mapping[str, Any], data: bytes = b"") -> None:
        self._head(status, {"Content-Type": "video/mp4", **headers})
        self._send(data)

    def _head(self, status: int, headers: Mapping[str, Any]) -> None:
        self.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.sent += len(data)
