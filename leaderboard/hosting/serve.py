"""A board on a loopback address that is built again while runs go on."""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmark.results import ResultError
from leaderboard.entries.runs import find_runs
from leaderboard.site import SiteError, SiteReport, build_site
from leaderboard.text.number_format import counted

ADDRESS = "127.0.0.1"
# A page of another site must not reach the board by a name that resolves to the loopback address.
_HOSTS = ("127.0.0.1", "localhost")
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")

Build = Callable[[Path], SiteReport]


class BoardHandler(SimpleHTTPRequestHandler):
    """Files of the site, with ranges of bytes, so that a browser can seek in a video."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a file, or with a part of it."""
        if not self._is_local():
            return
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if found is None or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        first, last = int(found[1]), min(int(found[2] or len(data) - 1), len(data) - 1)
        if first > last:
            self.send_error(416)
            return
        self.send_response(206)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def do_HEAD(self) -> None:
        """Answer with the headers of a file."""
        if self._is_local():
            super().do_HEAD()

    def end_headers(self) -> None:
        """Add what every answer has: ranges are accepted, and nothing is kept, because the board changes."""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for a request."""

    def _is_local(self) -> bool:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host in _HOSTS:
            return True
        self.send_error(403)
        return False


class _BoardServer(ThreadingHTTPServer):
    """Server that prints no traceback for a lost connection or a file that a new build replaced."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report other errors alone: a browser drops connections whenever it seeks in a video."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@dataclass
class LiveBoard:
    """A site in a temporary folder, served and built again when a run changes.

    Attributes:
        paths: folders of runs, or folders of such folders.
        title: of the page.
        report: receiver of one line for every build and every problem.
    """

    paths: Sequence[Path]
    title: str
    report: Callable[[str], None]

    def serve(self, port: int, seconds: float = 5.0, stop: threading.Event | None = None) -> None:
        """Build the site and serve it until interrupted.

        Args:
            port: of the loopback address; 0 for any free one.
            seconds: between two looks at the runs.
            stop: ends the service when it is set.

        Raises:
            ResultError: there is no run to show.
            SiteError: the port cannot be used.
        """
        stop = stop or threading.Event()
        with tempfile.TemporaryDirectory(prefix="tp-leaderboard-") as folder:
            site = Path(folder) / "site"
            seen = self._state()
            build_site(self.paths, site, self.title)
            try:
                server = _BoardServer((ADDRESS, port), _handler_of(site))
            except (OSError, OverflowError) as error:
                raise SiteError(f"port {port}: cannot be used ({error}): give another --port") from error
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.report(f"http://{ADDRESS}:{server.server_address[1]}/index.html")
            try:
                while not stop.wait(seconds):
                    now = self._state()
                    if now != seen:
                        seen = now
                        self._build_again(site)
            finally:
                server.shutdown()
                server.server_close()

    def _build_again(self, site: Path) -> None:
        try:
            built = build_site(self.paths, site, self.title)
        except (ResultError, SiteError) as error:
            # A run that is written at this moment is read again with its next change.
            self.report(f"not built again: {error}")
        else:
            runs = counted(built.num_runs, "run")
            self.report(f"built again: {runs}, {len(built.refused)} refused; reload the page")

    def _state(self) -> dict[Path, tuple[int, int]]:
        """Return modification time and number of cases of every run."""
        try:
            folders = find_runs(self.paths)[0]
        except ResultError:
            return {}
        return {folder: _state_of(folder) for folder in folders}


def _state_of(folder: Path) -> tuple[int, int]:
    try:
        return (folder / "run.json").stat().st_mtime_ns, sum(1 for _ in (folder / "cases").glob("*.json"))
    except OSError:
        return 0, 0


def _handler_of(site: Path) -> Callable[..., BoardHandler]:
    def handler(*args: Any, **options: Any) -> BoardHandler:
        return BoardHandler(*args, directory=str(site), **options)

    return handler
