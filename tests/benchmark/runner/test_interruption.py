"""The same command completes an interrupted run; the result is that of an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

HERE = Path(__file__).parents[1]
PROGRAM = [sys.executable, str(HERE / "tiny_tp_eval.py")]
SLOW = 0.03


def start(tiny: Path, out: Path, sleep: float = 0, *more: str) -> subprocess.Popen[str]:
    """Start the command; `sleep` seconds per step give time to interrupt it."""
    options = {
        "--model": "sample_contestants:Noise",
        "--model-args": f"sleep={sleep}",
        "--dataset": str(tiny),
        "--device": "cpu",
        "--batch-size": "1",
        "--protocol": "tp-long@1",
        "--out": str(out),
    }
    if "--devices" in more:
        del options["--device"]
    words = [word for option in options.items() for word in option]
    return subprocess.Popen([*PROGRAM, *words, *more], cwd=HERE, stdout=-1, stderr=-1, text=True)


def finish(tiny: Path, out: Path) -> None:
    process = start(tiny, out)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def result(out: Path) -> dict[str, Any]:
    """Everything of a run except times and locks."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file() and not p.name.startswith(".lock")):
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
def undisturbed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    finish(tiny, out)
    return result(out)


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "as the folder appears": lambda out: out.exists(),
    "within the first clip": lambda out: any((out / ".partial").glob(".tiny-a*")),
    "after the first clip": lambda out: (out / "cases/tiny-a.json").exists(),
    "within the last clip": lambda out: any((out / ".partial").glob(".tiny-c*")),
}


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(moment, marks=() if moment == "within the last clip" else pytest.mark.soak)
        for moment in MOMENTS
    ],
)
def test_kill(tiny: Path, tmp_path: Path, undisturbed: dict[str, Any], moment: str) -> None:
    out = tmp_path / "run"
    process = start(tiny, out, SLOW)
    wait_for(lambda: MOMENTS[moment](out), process)
    contestants = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    document = out / "run.json"
    assert not document.exists() or json.loads(document.read_text())["status"] == "running"
    # The process of the contestant notices that nobody waits for it.
    wait_for(lambda: not any(contestant.is_running() for contestant in contestants))
    finish(tiny, out)
    assert result(out) == undisturbed


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_kill_at_any_time(tiny: Path, tmp_path: Path, undisturbed: dict[str, Any], seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(3):
        process = start(tiny, tmp_path / "run", SLOW)
        time.sleep(generator.uniform(0, 4))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    finish(tiny, tmp_path / "run")
    assert result(tmp_path / "run") == undisturbed


def test_control_c(tiny: Path, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    out = tmp_path / "run"
    process = start(tiny, out, 2)
    wait_for(lambda: MOMENTS["within the first clip"](out), process)
    second = start(tiny, out)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "another tp-eval is at work" in errors and "Traceback" not in errors
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors and "same command" in errors
    assert not (out / ".partial").exists()
    finish(tiny, out)
    assert result(out) == undisturbed
