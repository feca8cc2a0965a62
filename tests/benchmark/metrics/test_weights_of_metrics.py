"""Weights of a metric: missing, fetched, used, damaged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from benchmark.protocols.protocol import Admission, load_protocol
from benchmark.results import MetricSummary, Run
from benchmark.runner.evaluate import RunSettings, evaluate
from talkingpose.weights import VARIABLE, fetch, read_lock, verify


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(standin_folder: Path) -> Iterator[str]:
    """Address of a local server of the stand-ins."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(standin_folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def served(standin_folder: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file that names the server for I3D; the weights folder is empty."""
    entries = yaml.safe_load((standin_folder / "weights.lock.yaml").read_text("utf-8"))
    i3d = next(entry for entry in entries if entry["id"] == "i3d")
    i3d["address"] = f"{address}/{i3d['file']}"
    i3d.pop("mirror", None)
    lock = tmp_path / "weights.lock.yaml"
    lock.write_text(yaml.safe_dump(entries), "utf-8")
    monkeypatch.setattr("talkingpose.weights.lock.LOCK_FILE", lock)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "weights"))
    return lock


def test_missing_fetched_used_and_refused(
    short: Path, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = load_protocol("tp-long@1")
    protocol = long.model_copy(
        update={
            "metrics": {"psnr": 1, "fvd": 1, "fvd_third": 1},
            "admission": Admission(min_frames=8),
        }
    )
    monkeypatch.setattr("benchmark.runner.prepared_run.load_protocol", lambda name: protocol)

    def run(name: str) -> tuple[Run, MetricSummary]:
        settings = RunSettings(
            model="frozen", dataset=str(short), out=tmp_path / name, device="cpu", in_process=True
        )
        found = evaluate(settings)
        assert found.status == "complete" and found.metrics["psnr"].state == "ok"
        return found, found.metrics["fvd"]

    found, fvd = run("missing")
    assert (fvd.value, fvd.ci95, fvd.state, found.weights) == (None, None, "unavailable", [])
    assert "tp-eval weights fetch i3d" in str(fvd.reason)
    assert not (tmp_path / "weights").exists()

    assert fetch(["i3d"])[0].error is None
    assert [check.state for check in verify(["i3d"])] == ["verified"]

    found, fvd = run("fetched")
    assert fvd.state == "ok" and fvd.value is not None and fvd.value > 0 and fvd.ci95 is not None
    assert [(w.name, w.sha256) for w in found.weights] == [("i3d", read_lock()["i3d"].sha256)]
    thirds = [found.metrics[f"fvd_third.{part}"] for part in ("first", "middle", "last")]
    assert [(third.value, third.state) for third in thirds] == [(None, "unavailable")] * 3
    assert all("0 windows of 16 frames in this third: at least 2000" in str(t.reason) for t in thirds)

    path = tmp_path / "weights" / read_lock()["i3d"].file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr("benchmark.features.registry._loaded", {})  # as in a new process
    found, fvd = run("flipped")
    assert (fvd.value, fvd.state, found.weights) == (None, "unavailable", [])
    assert "tp-eval weights fetch i3d" in str(fvd.reason)
