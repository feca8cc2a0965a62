"""Examples and the notebook run as they stand, in a folder of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_score_two_videos(tmp_path: Path) -> None:
    assert "dB" in run("score_two_videos.py", tmp_path)


def test_animate(tmp_path: Path) -> None:
    from talkingpose.media import VideoReader

    run("animate.py", tmp_path, "film.mp4", "3")
    assert len(list(VideoReader(tmp_path / "film.mp4"))) == 3


def test_curate_folder(tmp_path: Path) -> None:
    """The clips of the dataset are listed."""
    sources = Path(__file__).parent / "data" / "legacy" / "sources"
    if not sources.is_dir():
        pytest.fail("tests/data/legacy/sources is missing")
    assert "clips" in run("curate_folder.py", tmp_path, str(sources), "dataset")


def test_my_contestant(tmp_path: Path) -> None:
    """It runs as a script, and by its name from a folder that has its own `benchmark/`."""
    assert len(run("my_contestant.py", tmp_path).split()) == 2
    for name in ("benchmark", "baselines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong package')")
    shutil.copy(EXAMPLES / "my_contestant.py", tmp_path)
    command = [Path(sys.executable).parent / "tp-eval", "--model", "my_contestant:MyModel", "--limit", "1"]
    done = subprocess.run(
        [*command, "--smoke", "--out", "run", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    contestant = json.loads(done.stdout)["contestant"]
    assert contestant["name"] == "moved-portrait" and contestant["isolated"]


def test_notebook(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()


def test_other_repositories(tmp_path: Path) -> None:
    """Inputs in the form of three repositories, and made-up results of theirs collected for `score`."""
    import csv

    import cv2
    import numpy as np

    tp_eval = str(Path(sys.executable).parent / "tp-eval")
    words = ["--limit", "2", "--max-frames", "101", "--png", "--driving-frames", "all"]
    subprocess.run([tp_eval, "cases", "--out", "cases", *words], cwd=tmp_path, check=True)
    with (tmp_path / "cases/cases.csv").open(newline="") as file:
        ids = [row["clip_id"] for row in csv.DictReader(file)]
    for name, script in (
        ("mimicmotion", "inference.py"),
        ("stableanimator", "inference_basic.py"),
        ("echomimicv2", "infer.py"),
    ):
        run("other_repositories.py", tmp_path, "prepare", name, "cases", name)
        lines = (tmp_path / name / "run.sh").read_text().splitlines()
        assert sum(script in line for line in lines) == 2 and all(any(i in li for li in lines) for i in ids)
    config = (tmp_path / f"mimicmotion/{ids[0]}.yaml").read_text()
    assert f"{ids[0]}/driving.mp4" in config and "sample_stride: 1" in config
    pose = np.load(tmp_path / f"echomimicv2/poses/{ids[0]}/100.npy", allow_pickle=True).item()
    assert pose["bodies"]["candidate"].shape == (18, 2) and pose["hands"].shape == (2, 21, 2)
    assert pose["faces"].shape == (1, 68, 2) and pose["faces_score"].max() > 0.3
    made = tmp_path / f"stableanimator/made/{ids[0]}/animated_images"
    made.mkdir(parents=True)
    for index in range(101):
        cv2.imwrite(str(made / f"frame_{index}.png"), np.full((512, 512, 3), index, np.uint8))
    run("other_repositories.py", tmp_path, "collect", "cases", "stableanimator", "collected")
    score = ["--predictions", "collected", "--map", "collected/map.csv", "--name", "theirs"]
    done = subprocess.run(
        [tp_eval, "score", *score, "--limit", "2", "--max-frames", "101", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    failed = [entry["clip_id"] for entry in document["audit"] if entry["kind"] == "failed"]
    assert done.returncode == 3 and failed == [ids[1]], done.stderr
