"""The peak that a run reports is its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from benchmark.runner.hosts.memory import peak_rss_mb


def in_a_child(code: str) -> float:
    words = [
        sys.executable,
        "-c",
        f"from benchmark.runner.hosts.memory import peak_rss_mb\n{code}\nprint(peak_rss_mb())",
    ]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="where a child's count begins with its parent's")
def test_the_memory_of_the_parent_does_not_count() -> None:
    held = np.ones(25 * 2**20)
    assert peak_rss_mb() > 200
    assert in_a_child("pass") < 100
    assert held.size


def test_memory_that_was_given_back_counts() -> None:
    assert in_a_child("held = bytearray(b'x') * (300 * 2**20)\ndel held") > 300
