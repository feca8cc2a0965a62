"""Stopped at any moment, the same command goes on and ends where an undisturbed run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fake_detectors import NOBODY, SPEAKER
from shot_videos import write_shots

PROGRAM = Path(__file__).with_name("interrupted_run.py")


def start(footage: Path, out: Path, *, slow: float = 0.0) -> subprocess.Popen:
    command = [sys.executable, str(PROGRAM), "run", str(footage), "--out", str(out), "--workers", "2"]
    environment = {**os.environ, "TEST_SLOW_S": str(slow)}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


def results(out: Path) -> dict[str, bytes]:
    names = [*out.glob("*/*.parquet"), out / "README.md", out / "verdicts.jsonl"]
    return {str(path.relative_to(out)): path.read_bytes() for path in names}


@pytest.fixture(scope="module")
def footage_made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "footage"
    for number in range(3):
        shots = [(SPEAKER, 80), (NOBODY, 20), (SPEAKER, 85)]
        write_shots(folder / f"talk_{number}.mp4", shots, seed=number)
    return folder


@pytest.fixture(scope="module")
def undisturbed(footage_made, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("out") / "data"
    code, _, error = finish(start(footage_made, out))
    assert code == 0, error
    return results(out)


def wait_for(out: Path, pattern: str, count: int, process: subprocess.Popen) -> None:
    """Until the run has written so many such files, or has ended."""
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        if len(list((out / ".curation").glob(pattern))) >= count:
            return
        time.sleep(0.005)


MOMENTS = [
    ("lock", 1),  # workers start
    ("clips/*/*/.*.part", 1),  # a clip is being written
    ("clips/*/*/*.mp4", 1),
    ("sources/*.json", 1),
    ("sources/*.json", 3),
    ("export/clips/*.parquet", 1),
    ("exported.json", 1),
]


def test_kill_at_many_moments(footage_made, undisturbed, tmp_path):
    out = tmp_path / "data"
    for pattern, count in MOMENTS:
        process = start(footage_made, out, slow=0.01)
        wait_for(out, pattern, count, process)
        workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.communicate()
        _, alive = psutil.wait_procs(workers, timeout=5)
        assert not alive, "workers outlive the run"
        assert not [p for p in out.glob("**/*.part") if not p.name.startswith(".")]
    code, _, error = finish(start(footage_made, out))
    assert code == 0, error
    assert results(out) == undisturbed
    assert not list(out.rglob("*.part"))


def test_ctrl_c_ends_at_once_without_a_traceback_and_the_rest_is_done_later(
    footage_made, undisturbed, tmp_path
):
    out = tmp_path / "data"
    process = start(footage_made, out, slow=0.05)
    wait_for(out, "sources/*.json", 1, process)
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    code, _, error = finish(process)
    assert time.monotonic() - begun < 5
    assert code == 130
    assert "Traceback" not in error and "the same command goes on" in error
    code, _, error = finish(start(footage_made, out))
    assert code == 0, error
    assert "done before" in error and "3 sources: 3 to do" not in error
    assert results(out) == undisturbed
