"""Executors: one contract for local processes and for a Ray cluster, and what only a cluster has."""

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
from pool_jobs import die_once, note_process, versions_of_this_machine, work
from shot_videos import write_shots

from curation import curate
from curation.config import load_config
from curation.executors.base import JobFailure, Limits
from curation.executors.local_executor import LocalExecutor
from curation.executors.ray_executor import RayExecutorError, connect
from curation.run import RunOptions
from talkingpose.io import console


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as patch:
        # Its processes import the stand-ins by name.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        with connect("local") as joined:
            yield joined


@pytest.fixture(params=["local", "ray"])
def executor(request):
    return LocalExecutor() if request.param == "local" else request.getfixturevalue("cluster")


def limits(tmp_path, workers=1, **others) -> Limits:
    return Limits(workers, tmp_path / "log", **others)


def ended(pids) -> bool:
    deadline = time.monotonic() + 20
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(psutil.pid_exists, pids))


def test_every_job_ends_with_a_result_or_a_failure_and_its_process_is_replaced(executor, tmp_path):
    jobs = ["a", "raise", "pid", "pid", "crash", "pid", "wait", "b"]
    spent = limits(tmp_path, seconds_per_job=3.0, jobs_per_process=3)
    results = dict(executor.run(jobs, work, spent))
    assert (results[0], results[7]) == ("aa", "bb")
    assert results[1] == JobFailure("ValueError: made to fail")
    assert results[4].fatal and results[6].fatal
    assert "longer than 3 s" in results[6].message and "\n" not in results[4].message
    pids = [results[number] for number in (2, 3, 5)]
    assert len(set(pids)) == 3 and ended(pids)
    assert "made\nto fail" in (tmp_path / "log").read_text()


def test_closing_the_iterator_ends_the_workers(executor, tmp_path):
    results = executor.run(["pid", "wait", "wait"], work, limits(tmp_path, 2))
    number, pid = next(results)
    assert number == 0
    begun = time.monotonic()
    results.close()
    assert time.monotonic() - begun < 5 and ended([pid])
    if not isinstance(executor, LocalExecutor):
        import ray

        deadline = time.monotonic() + 20
        while ray.available_resources().get("CPU") != executor.num_cpus and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ray.available_resources()["CPU"] == executor.num_cpus


def test_a_result_that_waits_for_its_reader_is_not_late(executor, tmp_path):
    """Both jobs end in time; the reader comes back after their deadlines."""
    results = executor.run(["a", "b", "c"], work, limits(tmp_path, 2, seconds_per_job=2.0))
    found = [next(results)]
    time.sleep(2.5)
    assert sorted([*found, *results]) == [(0, "aa"), (1, "bb"), (2, "cc")]


def test_the_message_names_how_a_local_process_ended(tmp_path):
    results = dict(LocalExecutor().run(["die", "crash", "leave"], work, limits(tmp_path, 2)))
    assert "was killed" in results[0].message and not results[0].fatal
    assert "crashed (SIGABRT)" in results[1].message and results[1].fatal
    assert "code 7" in results[2].message
    assert list(LocalExecutor().run([], work, limits(tmp_path, 2))) == []


def test_a_job_whose_machine_may_be_lost_gets_a_second_try(cluster, tmp_path):
    jobs = [str(tmp_path / "first")]
    assert dict(cluster.run(jobs, die_once, limits(tmp_path))) == {0: "done"}


def test_a_machine_with_other_versions_is_refused(cluster, tmp_path):
    """The result differs by process here, as it would by machine."""
    versions = partial(versions_of_this_machine, os.getpid())
    with pytest.raises(RayExecutorError, match=r"other versions .*\(av 1, here 2\)"):
        list(cluster.run(["a"], work, limits(tmp_path), versions=versions))


def test_a_machine_that_cannot_start_a_process_is_named_with_its_cause(cluster, tmp_path):
    versions = partial(versions_of_this_machine, os.getpid(), fails=True)
    with pytest.raises(RayExecutorError, match="no weights here"):
        list(cluster.run(["a"], work, limits(tmp_path), versions=versions))


def test_a_machine_that_does_not_see_the_dataset_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "touch", lambda self: None)
    with pytest.raises(RayExecutorError, match=r"does not see .*elsewhere"):
        list(cluster.run(["a"], work, Limits(1, tmp_path / "elsewhere" / "log")))


def test_a_run_does_not_wait_for_processes_that_find_no_room(cluster, tmp_path):
    """Others leave it one core: one process does all jobs, and the run ends with it."""
    import ray

    @ray.remote(num_cpus=1)
    class Guest:
        def here(self) -> bool:
            return True

    guests = [Guest.remote() for _ in range(cluster.num_cpus - 1)]
    assert all(ray.get([guest.here.remote() for guest in guests]))
    began = tmp_path / "began"
    results = dict(cluster.run(list("abc"), work, limits(tmp_path, 3), versions=partial(note_process, began)))
    for guest in guests:
        ray.kill(guest)
    assert results == {0: "aa", 1: "bb", 2: "cc"}
    assert len(set(began.read_text().split()) - {str(os.getpid())}) == 1


def test_the_dataset_of_a_cluster_is_that_of_local_processes(cluster, tmp_path):
    footage = tmp_path / "footage"
    write_shots(footage / "reel.mp4", [(NOBODY, 20), (SPEAKER, 80)], seed=1)
    write_shots(footage / "talk.mp4", [(SPEAKER, 80)], seed=2)
    (footage / "broken.mp4").write_bytes(b"this is no video")
    found, config = [footage], load_config()
    here, there = tmp_path / "here", tmp_path / "there"
    first = curate(found, here, config, workers=1, options=RunOptions(detectors=FAKE))
    on_cluster = RunOptions(detectors=FAKE, executor=cluster)
    second = curate(found, there, config, workers=2, options=on_cluster)
    assert second.errors == first.errors and len(second.errors) == 1
    tables = sorted(path.relative_to(here) for path in here.glob("*/*.parquet"))
    assert tables and tables == sorted(path.relative_to(there) for path in there.glob("*/*.parquet"))
    for table in tables:
        assert (there / table).read_bytes() == (here / table).read_bytes()


@pytest.mark.parametrize("address", ["no-such-machine:1", "127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_nothing_listens_is_refused(address):
    with pytest.raises(RayExecutorError, match=f"--ray {address}: no cluster"), connect(address):
        pass


def test_a_wrong_address_is_one_line_on_the_command_line(tmp_path):
    """In a process of its own, as this one may have a cluster."""
    write_shots(tmp_path / "footage" / "talk.mp4", [(SPEAKER, 10)], seed=2)
    words = ["run", str(tmp_path / "footage"), "--out", str(tmp_path / "out"), "--ray", "nonsense"]
    program = "from curation.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == console.EXIT_USAGE
    assert "--ray nonsense: no cluster" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayExecutorError, match=r"pip install 'talkingpose\[cluster\]'"), connect("auto"):
        pass
