"""A live board on the loopback address, and the upload to a Space."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.results import ResultError
from leaderboard.hosting.push import push_site
from leaderboard.hosting.serve import BoardHandler, LiveBoard
from leaderboard.site import SiteError


def build(paths: list[Path], site: Path, title: str) -> SimpleNamespace:
    """Stand in for `build_site`: a page with the text of the run, and a video of ten bytes."""
    text = (paths[0] / "run.json").read_text()
    if not text:
        raise ResultError("half a run")
    (site / "media").mkdir(parents=True, exist_ok=True)
    (site / "index.html").write_text(f"{title} {text}")
    (site / "media/a.mp4").write_bytes(b"0123456789")
    return SimpleNamespace(num_runs=1, refused=())


class Service:
    """A live board in a thread, with the lines that it reported."""

    def __init__(self, run: Path) -> None:
        self.run, self.lines, self.stop, self.line = run, [], threading.Event(), threading.Condition()
        board = LiveBoard([run], "Live", self.report)
        self.thread = threading.Thread(target=board.serve, args=(0, 0.05, self.stop), daemon=True)
        self.thread.start()
        self.wait("http://")
        self.port = int(self.lines[0].rpartition(":")[2].partition("/")[0])

    def report(self, line: str) -> None:
        with self.line:
            self.lines.append(line)
            self.line.notify_all()

    def wait(self, part: str) -> None:
        with self.line:
            assert self.line.wait_for(lambda: any(part in line for line in self.lines), 30), self.lines

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr("leaderboard.hosting.serve.build_site", build)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("first")
    service = Service(tmp_path / "run")
    yield service
    service.stop.set()
    service.thread.join(30)
    assert not service.thread.is_alive()


def test_a_live_board_is_built_again_when_a_run_changes(service: Service):
    assert service.get("/index.html")[2] == b"Live first"
    (service.run / "run.json").write_text("")
    service.wait("not built again: half a run")
    assert service.get("/index.html")[2] == b"Live first"
    (service.run / "run.json").write_text("second")
    service.wait("built again: 1 run,")
    assert service.get("/index.html")[2] == b"Live second"


def test_a_live_board_answers_ranges_and_strangers_are_refused(service: Service):
    status, headers, body = service.get("/media/a.mp4", Range="bytes=2-4")
    assert (status, body, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert service.get("/media/a.mp4", Range="bytes=7-")[2] == b"789"
    assert service.get("/media/a.mp4", Range="bytes=20-30")[0] == 416
    assert service.get("/media/a.mp4", Range="bytes=x")[2] == b"0123456789"
    assert service.get("/index.html", Host="evil.example:80")[0] == 403
    assert service.get("/../run/run.json")[0] == 404


@pytest.mark.parametrize(("error", "shown"), [(BrokenPipeError(), False), (RuntimeError("a bug"), True)])
def test_a_lost_connection_prints_no_traceback(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    shown: bool,
):
    def fail(handler: BoardHandler) -> None:
        raise error

    monkeypatch.setattr(BoardHandler, "do_GET", fail)
    with pytest.raises(http.client.RemoteDisconnected):
        service.get("/media/a.mp4")
    assert ("Traceback" in capsys.readouterr().err) is shown


class Hub:
    """Records what an upload asks of the Hub."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.error = error

    def __getattr__(self, name: str):
        def call(*args: object, **options: object) -> None:
            if self.error is not None:
                raise self.error
            self.calls.append((name, options))

        return call


def test_a_site_goes_to_a_static_space(small_site: Path):
    hub = Hub()
    assert push_site(small_site, "me/board", private=True, api=hub).endswith("/spaces/me/board")
    assert [name for name, _ in hub.calls] == ["create_repo", "upload_folder", "upload_file"]
    assert hub.calls[0][1]["space_sdk"] == "static" and hub.calls[0][1]["private"] is True
    assert b"sdk: static" in hub.calls[2][1]["path_or_fileobj"]


def test_an_upload_that_cannot_be_made_says_why_in_one_line(small_site: Path, tmp_path: Path):
    with pytest.raises(SiteError, match="not a site"):
        push_site(tmp_path, "me/board", api=Hub())
    with pytest.raises(SiteError, match="USER/NAME"):
        push_site(small_site, "https://me/board", api=Hub())
    unreachable = type("ConnectError", (Exception,), {"__module__": "httpx2"})
    for error in (OSError("no network\nmore"), ValueError("no network"), unreachable("no network")):
        with pytest.raises(SiteError, match="no network") as caught:
            push_site(small_site, "me/board", api=Hub(error))
        assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError):
        push_site(small_site, "me/board", api=Hub(RuntimeError("a bug")))
