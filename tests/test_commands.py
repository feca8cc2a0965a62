"""Commands: quick and complete help, one line for wrong options."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("tp-curate", "tp-eval", "tp-animate", "tp-train", "tp-leaderboard")
GROUPS = (("tp-curate",), ("tp-eval",), ("tp-eval", "weights"))
BIN = Path(sys.executable).parent


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BIN / args[0]), *args[1:]], capture_output=True, text=True, check=False)


def cpu_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


@pytest.mark.parametrize("command", COMMANDS)
def test_help_takes_half_a_second(command: str) -> None:
    # CPU time does not depend on other work of the machine; the first run may compile modules.
    fastest = float("inf")
    for _ in range(3):
        before = cpu_seconds()
        result = run(command, "--help")
        fastest = min(fastest, cpu_seconds() - before)
        assert result.returncode == 0 and result.stderr == ""
        assert command in result.stdout
        if fastest < 0.5:
            return
    pytest.fail(f"{command} --help takes {fastest:.2f} s")


@pytest.mark.parametrize("group", GROUPS)
def test_summaries_of_commands_fit(group: tuple[str, ...]) -> None:
    lines = run(*group, "--help").stdout.partition("Commands:\n")[2].splitlines()
    summaries = [line.split(maxsplit=1)[1] for line in lines if line.strip()]
    assert len(summaries) > 3
    assert all(len(summary) <= 60 and not summary.endswith("...") for summary in summaries), summaries


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_option_is_one_line_and_exit_code_2(command: str) -> None:
    result = run(command, "--no-such-option")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
