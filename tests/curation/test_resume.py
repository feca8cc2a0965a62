"""Runs that are killed or interrupted at any moment resume, and end like an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from commands import tp_curate
from fake_detectors import NOBODY, SPEAKER
from shot_videos import write_shots

sys.path.insert(0, str(Path(__file__).parent / "download"))

from loopback import Loopback

from curation.download.ledger import State, open_ledger

PROGRAM = Path(__file__).with_name("interrupted_run.py")
CONFIG = """
download:
  politeness: {requests_per_minute: 6000, burst: 10, pause_s: 0}
  disk: {min_free_gb: 0}
  timeout_s: 60
  min_bytes_per_s: 0
export: {duplicates: null}
"""
# Columns that differ with every download.
MOMENTS = {"fetched_at", "rights_evidence"}
# Files whose appearance is the moment of a kill.
SOME_KILLS = [
    ("acquisition/sources/*/video.*", 1),  # downloaded, not curated
    ("clips/*/*/.*.part*", 1),  # a clip is being written
    ("export/clips/*.parquet", 1),
]
MANY_KILLS = (
    [
        ("lock", 1),  # workers start
        ("acquisition/partial/*.part", 1),
        *SOME_KILLS[:2],
        ("clips/*/*/*.mp4", 1),
        ("sources/*.json", 1),
        ("sources/*.json", 3),
        ("export/clips/*.parquet", 1),
        ("exported.json", 1),
    ]
    * 4
)


class Footage:
    """Local files and a list of addresses; the same for every run."""

    def __init__(self, folder: Path, site: Loopback) -> None:
        self.local = folder / "local"
        self.list = folder / "list.txt"
        self.config = folder / "config.yaml"
        self.config.write_text(CONFIG)
        for number in range(2):
            shots = [(SPEAKER, 80), (NOBODY, 20)]
            write_shots(self.local / f"talk_{number}.mp4", shots, seed=number)
            path = write_shots(folder / f"remote_{number}.mp4", shots, seed=10 + number)
            site.files[path.name] = path.read_bytes()
        self.list.write_text("".join(site.url(f"steady/{name}") + "\n" for name in site.files))

    def arguments(self, out: Path) -> list[str]:
        options = ["--out", str(out), "--config", str(self.config), "--workers", "1", "--delete-sources"]
        return ["run", str(self.local), str(self.list), *options]


@pytest.fixture(scope="module")
def footage_made(tmp_path_factory):
    with Loopback() as site:
        yield Footage(tmp_path_factory.mktemp("made"), site)


def start(footage: Footage, out: Path, slow_s: float = 0.01) -> subprocess.Popen:
    environment = {**os.environ, "TEST_SLOW_S": str(slow_s), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *footage.arguments(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def wait_for(out: Path, pattern: str, count: int, process: subprocess.Popen) -> None:
    """Wait until the run has written so many such files, or has ended."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if len(list((out / ".curation").glob(pattern))) >= count:
            return
        time.sleep(0.002)


def results(out: Path) -> tuple[list[dict[str, Any]], bytes]:
    rows = [row for path in sorted(out.glob("clips/*.parquet")) for row in pq.read_table(path).to_pylist()]
    kept = [{name: value for name, value in row.items() if name not in MOMENTS} for row in rows]
    return kept, (out / "verdicts.jsonl").read_bytes()


def kill(process: subprocess.Popen) -> None:
    workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    assert process.wait() in (-signal.SIGKILL, 0)
    process.stderr.close()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive, "workers outlive the run"


def check_kills(footage: Footage, tmp_path: Path, moments: list[tuple[str, int]]) -> None:
    """Kill a run at these moments; the same command ends with the dataset of an undisturbed run."""
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    assert tp_curate(*footage.arguments(undisturbed))[0] == 0
    for pattern, count in moments:
        process = start(footage, out)
        wait_for(out, pattern, count, process)
        kill(process)
        assert not [path for path in out.glob("**/*.part*") if ".curation" not in path.parts]
    code, summary, error = tp_curate(*footage.arguments(out))
    assert code == 0, summary + error
    assert results(out) == results(undisturbed) and len(results(out)[0]) == 4
    with open_ledger(out) as ledger:
        assert {(entry.state, entry.attempts) for entry in ledger.entries()} == {(State.DONE, 1)}
    assert not list(out.glob(".curation/acquisition/sources/*")) and not list(out.rglob("*.part*"))


@pytest.mark.usefixtures("fake_models", "in_this_process")
def test_a_killed_run_resumes(footage_made, tmp_path):
    check_kills(footage_made, tmp_path, SOME_KILLS)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("fake_models", "in_this_process")
def test_a_run_that_is_killed_many_times_resumes(footage_made, tmp_path):
    check_kills(footage_made, tmp_path, MANY_KILLS)


def test_ctrl_c_ends_a_run_without_a_traceback(footage_made, tmp_path):
    out = tmp_path / "data"
    process = start(footage_made, out, slow_s=0.2)
    wait_for(out, "sources/*.json", 1, process)
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, error = process.communicate(timeout=60)
    assert time.monotonic() - begun < 20
    assert process.returncode == 130
    assert "Traceback" not in error and "the same command" in error
