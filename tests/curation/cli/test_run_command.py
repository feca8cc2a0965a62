"""The command line: what it answers, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_detectors import NOBODY, SPEAKER
from shot_videos import write_shots

PROGRAM = Path(__file__).parents[1] / "interrupted_run.py"


def tp_curate(*arguments: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def footage_made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "footage"
    write_shots(folder / 'a talk\'s "first".mp4', [(SPEAKER, 80), (NOBODY, 80)])
    (folder / "broken.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def made(footage_made, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "data"
    return out, tp_curate("run", footage_made, "--out", out, "--json", "--workers", 1)


def test_json_is_one_document_and_an_unreadable_source_gives_exit_code_3(made):
    _, (code, out, error) = made
    document = json.loads(out)
    assert code == 3
    assert document["clips"]["kept"] == 1
    assert document["rejected"] == {"no face to be seen": 1}
    assert [e["source"] for e in document["errors"]] == ["footage/broken.mp4"]
    assert "2 sources: 2 to do, 0 done before" in error and "Traceback" not in error


def test_again_and_dry_run_and_status(made, footage_made):
    out, _ = made
    code, text, _ = tp_curate("run", footage_made, "--out", out, "--dry-run")
    assert code == 0 and "1 to do, 1 done before" in text and "footage/broken.mp4" in text
    code, text, _ = tp_curate("status", out)
    assert code == 0
    assert "kept" in text and "rejected: no face to be seen" in text and "error: undecided" in text
    assert json.loads(tp_curate("status", out, "--json")[1])["undecided"] == 1


def test_dry_run_writes_nothing(footage_made, tmp_path):
    code, text, _ = tp_curate("run", footage_made, "--out", tmp_path / "data", "--dry-run", "--json")
    assert code == 0 and len(json.loads(text)["todo"]) == 2
    assert not (tmp_path / "data").exists()


def test_nothing_kept_is_complete_and_said(footage_made, tmp_path):
    (tmp_path / "c.yaml").write_text("filters: {length: {min_s: 60}}")
    video = next(footage_made.glob("a*.mp4"))
    code, text, _ = tp_curate("run", video, "--out", tmp_path / "data", "--config", tmp_path / "c.yaml")
    assert code == 0 and "no clip was kept" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.mp4", "--out", "OUT"], "missing.mp4: there is no such file or folder"),
        (["run", "EMPTY", "--out", "OUT"], "no video in this folder"),
        (["run", "EMPTY"], "--out"),
        (["run", "VIDEO", "--out", "OUT", "--config", "none.yaml"], "No such file"),
        (["run", "VIDEO", "--out", "OUT", "--workers", "0"], "--workers"),
        (["run", "VIDEO", "--out", "VIDEO"], "this is a file"),
        (["run", "VIDEO", "--out", "FULL"], "not empty"),
        (["status", "EMPTY"], "no run of tp-curate"),
        (["judge"], "judge"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, footage_made, tmp_path):
    places = {"OUT": tmp_path / "out", "EMPTY": tmp_path / "empty", "FULL": tmp_path / "full"}
    places["VIDEO"] = footage_made / "broken.mp4"
    places["EMPTY"].mkdir()
    places["FULL"].mkdir()
    (places["FULL"] / "thesis.tex").write_text("mine")
    code, out, error = tp_curate(*(places.get(a, a) for a in arguments))
    assert code == 2 and out == ""
    assert len(error.strip().splitlines()) == 1 and message in error
    assert not places["OUT"].exists()


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from curation.cli.app import app; from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "heavy = {'av', 'cv2', 'datasets', 'mediapipe', 'numpy', 'pandas', 'scenedetect', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
