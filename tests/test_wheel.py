"""The built wheel holds all data files and works outside the checkout, beside a user's own `benchmark/`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
COMMANDS = ["tp-animate", "tp-curate", "tp-eval", "tp-leaderboard", "tp-train"]
# The index of Python packages refuses files above 100 MB by default.
LARGEST_WHEEL_MB = 60
# An example script and its arguments.
SCRIPTS = [
    ("score_two_videos.py",),
    ("my_metric.py",),
    ("my_filter.py",),
    ("my_contestant.py",),
    ("animate.py", "film.mp4", "3"),
    ("curate_folder.py", str(ROOT / "tests" / "data" / "legacy" / "sources"), "dataset"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tracked files."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "src" / name)
    build = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), "."]
    done = subprocess.run(
        [sys.executable, *build], cwd=folder / "src", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return next(folder.glob("*.whl"))


@pytest.fixture
def own_packages(tmp_path: Path) -> Path:
    """A working folder in which packages of the user hide two of the project's names."""
    for name in ("benchmark", "baselines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong package')")
    return tmp_path


def run(words: list[str], folder: Path, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1"} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"
    return done.stdout


def test_wheel_is_complete(wheel: Path, own_packages: Path) -> None:
    """Every tracked data file of the packages is in the wheel, and a run needs nothing else."""
    assert wheel.stat().st_size < LARGEST_WHEEL_MB * 1e6
    site = own_packages / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(site)
    packages = ["talkingpose", "curation", "benchmark", "baselines", "leaderboard"]
    tracked = subprocess.run(
        ["git", "ls-files", *packages], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name for name in tracked if (ROOT / name).is_file()} <= names
    assert not any(name.startswith(("tests/", "tools/", "docs/")) for name in names)

    program = "import benchmark, sys; print(benchmark.__file__); from benchmark.cli.app import main; main()"
    arguments = ["--model", "frozen", "--limit", "1", "--max-frames", "101", "--out", "run", "--json"]
    output = run([sys.executable, "-P", "-c", program, *arguments], own_packages, PYTHONPATH=str(site))
    assert output.startswith(str(site))
    assert (own_packages / "run" / "run.json").is_file()


@pytest.mark.soak  # installs all packages: minutes, 7 GB, a package registry
def test_wheel_in_a_fresh_environment(
    wheel: Path, own_packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    binaries = folder / "bin"
    install = [str(binaries / "pip"), "install", "-q", "--disable-pip-version-check", str(wheel)]
    subprocess.run(install, check=True, timeout=3600)
    for script, *arguments in SCRIPTS:
        run([str(binaries / "python"), "-P", str(EXAMPLES / script), *arguments], own_packages)
    for command in COMMANDS:
        assert "Usage:" in run([str(binaries / command), "--help"], own_packages)
    shutil.copy(EXAMPLES / "my_contestant.py", own_packages)
    tp_eval = [str(binaries / "tp-eval"), "--model", "my_contestant:MyModel", "--limit", "1"]
    run([*tp_eval, "--max-frames", "101", "--out", "run"], own_packages)
    run([str(binaries / "tp-leaderboard"), "run", "--out", "site"], own_packages)
    assert (own_packages / "site" / "index.html").is_file()
