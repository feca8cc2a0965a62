"""Workers that answer, raise and die."""

from __future__ import annotations

import time

import psutil
import pytest
from pool_jobs import work

from curation.executors.local_pool import JobFailure, run_jobs


def test_every_job_ends_with_a_result_or_a_reason(tmp_path):
    jobs = ["a", "raise", "b", "die", "crash", "leave", "c"]
    results = dict(run_jobs(jobs, work, workers=2, log=tmp_path / "log"))
    assert [results[i] for i in (0, 2, 6)] == ["aa", "bb", "cc"]
    assert results[1] == JobFailure("ValueError: made to fail")
    assert "was killed" in results[3].message
    assert "crashed (SIGABRT)" in results[4].message
    assert "code 7" in results[5].message
    assert "made\nto fail" in (tmp_path / "log").read_text()


def test_leaving_early_kills_the_workers(tmp_path):
    results = run_jobs(["a", "wait", "wait"], work, workers=2, log=tmp_path / "log")
    assert next(results) == (0, "aa")
    children = psutil.Process().children()
    begun = time.monotonic()
    results.close()
    assert time.monotonic() - begun < 5
    assert not [c for c in children if c.is_running() and "spawn_main" in " ".join(c.cmdline())]


def test_no_jobs(tmp_path):
    assert list(run_jobs([], work, workers=2, log=tmp_path / "log")) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_does_all_jobs(tmp_path, workers):
    results = run_jobs(list("abcd"), work, workers=workers, log=tmp_path / "log")
    assert sorted(results) == [(i, letter * 2) for i, letter in enumerate("abcd")]


def test_a_job_that_takes_too_long_is_killed_and_the_others_go_on(tmp_path):
    begun = time.monotonic()
    results = dict(run_jobs(["a", "wait", "b"], work, workers=1, log=tmp_path / "log", limit_s=15.0))
    assert time.monotonic() - begun < 55
    assert (results[0], results[2]) == ("aa", "bb")
    assert results[1].fatal and "longer than 15 s" in results[1].message


def test_a_crash_is_fatal_and_an_exception_is_not(tmp_path):
    results = dict(run_jobs(["raise", "crash"], work, workers=1, log=tmp_path / "log"))
    assert [results[i].fatal for i in (0, 1)] == [False, True]


def test_workers_are_replaced_after_so_many_jobs(tmp_path):
    results = dict(run_jobs(["pid"] * 5, work, workers=1, log=tmp_path / "log", jobs_per_process=2))
    assert [results[0] == results[1], results[2] == results[3], results[1] == results[2]] == [
        True,
        True,
        False,
    ]
    assert len(set(results.values())) == 3
