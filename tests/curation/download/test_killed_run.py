"""`tp-curate run` over addresses, killed while it fetches and curates at the same time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
from fake_detectors import NOBODY, SPEAKER
from loopback import Loopback
from shot_videos import write_shots

from curation.download.downloader import open_ledger
from curation.download.ledger import State

KILLS = 4
CONFIG = """
download:
  politeness: {requests_per_minute: 6000, burst: 10, pause_s: 0}
  disk: {min_free_gb: 0}
  timeout_s: 60
  min_bytes_per_s: 0
export: {duplicates: null}
"""
# What is another one each time a source is fetched.
MOMENTS = {"fetched_at", "rights_evidence"}


def start(listed: Path, out: Path, config: Path) -> subprocess.Popen:
    program = Path(__file__).parents[1] / "interrupted_run.py"
    options = ["--out", str(out), "--config", str(config), "--workers", "1", "--delete-sources"]
    return subprocess.Popen(
        [sys.executable, str(program), "run", str(listed), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "TEST_SLOW_S": "0.02", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        text=True,
    )


def rows(out: Path) -> list[dict[str, Any]]:
    found = [row for path in sorted(out.glob("clips/*.parquet")) for row in pq.read_table(path).to_pylist()]
    return [{name: value for name, value in row.items() if name not in MOMENTS} for row in found]


def at_work(process: subprocess.Popen) -> bool:
    """Whether its threads that fetch have begun, or it has ended."""
    try:
        return process.poll() is not None or psutil.Process(process.pid).num_threads() > 4
    except psutil.NoSuchProcess:
        return True


def test_a_run_that_is_killed_ends_with_the_dataset_of_an_undisturbed_one(tmp_path):
    config, listed = tmp_path / "config.yaml", tmp_path / "list.txt"
    config.write_text(CONFIG)
    random_ = random.Random(7)
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    with Loopback() as site:
        for number in range(3):
            path = write_shots(tmp_path / f"talk{number}.mp4", [(SPEAKER, 80), (NOBODY, 20)], seed=number)
            site.files[path.name] = path.read_bytes()
        listed.write_text("".join(site.url(f"steady/{name}") + "\n" for name in site.files))
        process = start(listed, undisturbed, config)
        assert process.wait() == 0, process.stderr.read()
        for _ in range(KILLS):
            process = start(listed, out, config)
            while not at_work(process):
                time.sleep(0.01)
            time.sleep(random_.uniform(0, 3))
            workers = psutil.Process(process.pid).children() if process.poll() is None else []
            process.kill()
            assert process.wait() in (-signal.SIGKILL, 0)
            _, alive = psutil.wait_procs(workers, timeout=30)
            assert not alive
        process = start(listed, out, config)
        assert process.wait() == 0, process.stderr.read()
    assert rows(out) == rows(undisturbed) and len(rows(out)) == 3
    assert (out / "verdicts.jsonl").read_bytes() == (undisturbed / "verdicts.jsonl").read_bytes()
    with open_ledger(out) as ledger:
        assert {(entry.state, entry.attempts) for entry in ledger.entries()} == {(State.DONE, 1)}
    assert not list(out.glob(".curation/acquisition/sources/*"))
    assert not list(out.rglob("*.part"))
