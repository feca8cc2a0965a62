"""Every command: quick help, one line for what the user can mend."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("tp-curate", "tp-eval", "tp-animate", "tp-train", "tp-leaderboard")
BIN = Path(sys.executable).parent


def run(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / args[0]), *args[1:]], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_what_the_command_does(command: str) -> None:
    result = run(command, "--help")
    assert result.returncode == 0
    assert command in result.stdout
    assert "Traceback" not in result.stderr


# Half a second is the promise. Measured in processor time, which other work on the machine leaves alone.
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_quick(command: str) -> None:
    def seconds() -> float:
        before = os.times()
        run(command, "--help")
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_option_is_refused_with_2(command: str) -> None:
    result = run(command, "--no-such-option")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
