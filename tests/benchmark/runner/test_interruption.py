"""Whatever stops `tp-eval`, the same command ends with the result of an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from benchmark.cli.app import main; main()"]


def start(dataset: Path, out: Path, sleep: float) -> subprocess.Popen[str]:
    """The command on its way; `sleep` seconds a step give time to interrupt it."""
    options = {
        "--model": "sample_contestants:Noise",
        "--model-args": f"sleep={sleep}",
        "--dataset": str(dataset),
        "--device": "cpu",
        "--batch-size": "1",
        "--out": str(out),
    }
    words = [word for option in options.items() for word in option]
    return subprocess.Popen([*COMMAND, *words], cwd=HERE, stdout=-1, stderr=-1, text=True)


def finish(dataset: Path, out: Path) -> None:
    process = start(dataset, out, 0)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def result(out: Path) -> dict[str, Any]:
    """Everything of a run but wall-clock facts."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = str(path.relative_to(out))
        if path.suffix != ".json":
            found[name] = path.read_bytes()
            continue
        document = json.loads(path.read_text())
        for key in ("cost", "finished_at", "env", "command", "generation_s", "scoring_s"):
            document.pop(key, None)
        found[name] = document
    return found


@pytest.fixture(scope="module")
def undisturbed(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    finish(dataset, out)
    return result(out)


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "as the folder appears": lambda out: out.exists(),
    "within the first clip": lambda out: any((out / ".partial").glob(".clip-a*")),
    "after the first clip": lambda out: (out / "cases/clip-a.json").exists(),
    "within the last clip": lambda out: any((out / ".partial").glob(".clip-c*")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_kill(dataset: Path, tmp_path: Path, undisturbed: dict[str, Any], moment: str) -> None:
    out = tmp_path / "run"
    process = start(dataset, out, 0.003)
    wait_for(lambda: MOMENTS[moment](out), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (
        not (out / "run.json").exists() or json.loads((out / "run.json").read_text())["status"] == "running"
    )
    finish(dataset, out)
    assert result(out) == undisturbed


def test_control_c(dataset: Path, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    out = tmp_path / "run"
    process = start(dataset, out, 0.01)
    wait_for(lambda: MOMENTS["within the first clip"](out), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors and "the same command goes on" in errors
    assert not (out / ".partial").exists()
    finish(dataset, out)
    assert result(out) == undisturbed


def test_two_at_once_are_refused(dataset: Path, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    out = tmp_path / "run"
    first = start(dataset, out, 0.02)
    wait_for(lambda: MOMENTS["within the first clip"](out), first)
    second = start(dataset, out, 0)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "another tp-eval is at work" in errors and "Traceback" not in errors
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 0, errors
    assert result(out) == undisturbed
