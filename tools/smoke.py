"""Smoke test for platforms without the full suite: imports and commands that need no model.

Run with `python tools/smoke.py` in an environment where the project is installed.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import tempfile

PACKAGES = ("talkingpose", "curation", "benchmark", "baselines", "leaderboard")
COMMANDS = (
    ("tp-animate", "--help"),
    ("tp-curate", "--help"),
    ("tp-eval", "--help"),
    ("tp-eval", "ls", "contestants"),
    ("tp-eval", "ls", "metrics"),
    ("tp-eval", "ls", "protocols"),
    ("tp-leaderboard", "--help"),
    ("tp-train", "--help"),
)
# Modules of optional extras.
OPTIONAL = {"ray", "gradio", "torchcodec"}


def import_everything() -> list[str]:
    """Import every module of the project; return one line per failure."""
    failures = []
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            try:
                importlib.import_module(module.name)
            except ImportError as error:
                if error.name not in OPTIONAL:
                    failures.append(f"{module.name}: {error}")
    return failures


def run_commands() -> list[str]:
    """Run the commands in an empty folder; return one line per failure."""
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                failures.append(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr[-500:]}")
    return failures


if __name__ == "__main__":
    problems = [*import_everything(), *run_commands()]
    print("\n".join(problems) or "imports and commands work")
    sys.exit(bool(problems))
