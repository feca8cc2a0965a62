"""The same jobs on a Ray cluster that begins here: the local pool's contract, and what only a cluster has."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from fake_detectors import FAKE, NOBODY, SPEAKER
from pool_jobs import answers_of_this_machine, die_once, note_process, work
from shot_videos import write_shots

from curation.config import load_config
from curation.executors.local_pool import JobFailure
from curation.executors.ray_executor import RayExecutor, RayExecutorError, connect
from curation.run import curate, find
from talkingpose.io import console


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        # Its processes import the stand-ins by name.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        with connect("local") as joined:
            yield joined


def test_every_job_ends_with_a_result_or_a_reason(cluster: RayExecutor, tmp_path):
    jobs = ["a", "raise", "b", "die", "crash", "c"]
    results = dict(cluster.run_jobs(jobs, work, workers=2, log=tmp_path / "log"))
    assert [results[i] for i in (0, 2, 5)] == ["aa", "bb", "cc"]
    assert results[1] == JobFailure("ValueError: made to fail")
    for number in (3, 4):
        assert results[number].fatal and "died on it twice" in results[number].message
        assert "\n" not in results[number].message
    assert "made\nto fail" in (tmp_path / "log").read_text()


def test_a_job_whose_process_is_lost_is_done_by_another(cluster: RayExecutor, tmp_path):
    jobs = [str(tmp_path / "first"), str(tmp_path / "second")]
    results = dict(cluster.run_jobs(jobs, die_once, workers=1, log=tmp_path / "log"))
    assert results == {0: "done", 1: "done"}


def test_a_job_that_takes_too_long_is_killed_and_the_others_go_on(cluster: RayExecutor, tmp_path):
    results = dict(cluster.run_jobs(["a", "wait", "b"], work, workers=1, log=tmp_path / "log", limit_s=8.0))
    assert (results[0], results[2]) == ("aa", "bb")
    assert results[1].fatal and "longer than 8 s" in results[1].message


def test_processes_are_replaced_after_so_many_jobs_and_end_with_the_run(cluster: RayExecutor, tmp_path):
    results = dict(cluster.run_jobs(["pid"] * 4, work, workers=1, log=tmp_path / "log", jobs_per_process=2))
    assert [results[0] == results[1], results[2] == results[3], results[1] == results[2]] == [
        True,
        True,
        False,
    ]
    deadline = time.monotonic() + 20
    while any(map(psutil.pid_exists, results.values())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(psutil.pid_exists, results.values()))


def test_leaving_early_lets_the_cores_go(cluster: RayExecutor, tmp_path):
    import ray

    results = cluster.run_jobs(["a", "wait", "wait"], work, workers=2, log=tmp_path / "log")
    assert next(results) == (0, "aa")
    results.close()
    deadline = time.monotonic() + 20
    while ray.available_resources().get("CPU") != cluster.num_cpus and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == cluster.num_cpus


def test_a_machine_with_other_versions_is_refused(cluster: RayExecutor, tmp_path):
    """The answer differs by process here, as it would by machine."""
    alike = partial(answers_of_this_machine, os.getpid())
    with pytest.raises(RayExecutorError, match=r"has other versions than this machine \(av 1, here 2\)"):
        list(cluster.run_jobs(["a"], work, workers=1, log=tmp_path / "log", alike=alike))


def test_an_answer_that_waits_for_its_reader_is_not_late(cluster: RayExecutor, tmp_path):
    """Both have answered in time; the reader comes back after both deadlines."""
    results = cluster.run_jobs(["a", "b", "c", "d"], work, workers=2, log=tmp_path / "log", limit_s=4.0)
    found = [next(results)]
    time.sleep(5)
    assert sorted([*found, *results]) == [(0, "aa"), (1, "bb"), (2, "cc"), (3, "dd")]


def test_a_run_does_not_wait_for_processes_that_find_no_room(cluster: RayExecutor, tmp_path):
    """Others leave it one core: one process does all jobs, and the run ends with it."""
    import ray

    @ray.remote(num_cpus=1)
    class Guest:
        def here(self) -> bool:
            return True

    guests = [Guest.remote() for _ in range(cluster.num_cpus - 1)]
    assert all(ray.get([guest.here.remote() for guest in guests]))
    began = tmp_path / "began"
    alike = partial(note_process, began)
    results = dict(cluster.run_jobs(list("abc"), work, workers=3, log=tmp_path / "log", alike=alike))
    for guest in guests:
        ray.kill(guest)
    assert results == {0: "aa", 1: "bb", 2: "cc"}
    assert len(set(began.read_text().split()) - {str(os.getpid())}) == 1


def test_a_machine_that_cannot_begin_says_why(cluster: RayExecutor, tmp_path):
    alike = partial(answers_of_this_machine, os.getpid(), fails=True)
    with pytest.raises(RayExecutorError, match=r"did not begin \(no weights here\): install the project"):
        list(cluster.run_jobs(["a"], work, workers=1, log=tmp_path / "log", alike=alike))


def test_a_machine_that_does_not_see_the_dataset_is_refused(cluster: RayExecutor, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "touch", lambda self: None)
    with pytest.raises(
        RayExecutorError, match=r"does not see .*elsewhere: put the dataset where all machines"
    ):
        list(cluster.run_jobs(["a"], work, workers=1, log=tmp_path / "elsewhere" / "log"))


def test_the_dataset_is_that_of_the_local_pool(cluster: RayExecutor, tmp_path):
    footage = tmp_path / "footage"
    write_shots(footage / "reel.mp4", [(NOBODY, 30), (SPEAKER, 80), (SPEAKER, 40)], seed=1)
    write_shots(footage / "talk.mp4", [(SPEAKER, 100)], seed=2)
    (footage / "broken.mp4").write_bytes(b"this is no video")
    found, config = find([footage], None), load_config()
    here, there = tmp_path / "here", tmp_path / "there"
    first = curate(found, here, config, workers=1, detectors=FAKE)
    second = curate(found, there, config, workers=2, cluster=cluster, detectors=FAKE)
    assert second.errors == first.errors and len(second.errors) == 1
    tables = sorted(path.relative_to(here) for path in here.glob("*/*.parquet"))
    assert tables == sorted(path.relative_to(there) for path in there.glob("*/*.parquet"))
    for table in tables:
        assert (there / table).read_bytes() == (here / table).read_bytes()
    again = curate(found, there, config, workers=2, cluster=cluster, detectors=FAKE)
    assert (again.done_before, again.worked_on) == (2, 1)


@pytest.mark.parametrize("address", ["no-such-machine:1", "127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_no_cluster_at_an_address_is_one_line(tmp_path, address):
    """In a process of its own, as this one has a cluster."""
    write_shots(tmp_path / "footage" / "talk.mp4", [(SPEAKER, 10)], seed=2)
    words = ["run", str(tmp_path / "footage"), "--out", str(tmp_path / "out"), "--ray", address]
    program = "from curation.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == console.EXIT_USAGE
    assert f"--ray {address}: no cluster answers there" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(RayExecutorError, match=r"Ray is not installed: pip install 'talkingpose\[cluster\]'"),
        connect("auto"),
    ):
        pass
