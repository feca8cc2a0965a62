"""Commands run, export and status: output, exit codes, errors of one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import tp_curate
from fake_detectors import NOBODY, SPEAKER
from shot_videos import write_shots

PROGRAM = Path(__file__).parents[1] / "interrupted_run.py"
pytestmark = pytest.mark.usefixtures("fake_models", "in_this_process")


@pytest.fixture(scope="module")
def footage_made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "footage"
    write_shots(folder / 'a talk\'s "first".mp4', [(SPEAKER, 80), (NOBODY, 80)])
    (folder / "broken.mp4").write_text("no video")
    for name in ("loop.gif", "notes.txt", "photo.jpg", "list"):
        (folder / name).write_text("not a video")
    os.mkfifo(folder / "pipe.mp4")
    return folder


@pytest.fixture(scope="module")
def made(footage_made, tmp_path_factory):
    """A run in a process of its own, with a worker process."""
    out = tmp_path_factory.mktemp("out") / "data"
    done = subprocess.run(
        [
            sys.executable,
            str(PROGRAM),
            "run",
            str(footage_made),
            "--out",
            str(out),
            "--json",
            "--workers",
            "1",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return out, (done.returncode, done.stdout, done.stderr)


def test_json_is_one_document_and_an_unreadable_source_gives_exit_code_3(made):
    _, (code, out, error) = made
    document = json.loads(out)
    assert code == 3
    assert document["clips"] == {"kept": 1, "frames": 80, "seconds": 3.2, "duplicates": 0, "long": 0}
    assert document["rejected"] == {"no face to be seen": 1}
    assert [e["source"] for e in document["errors"]] == ["footage/broken.mp4"]
    assert "2 sources: 2 to do, 0 done before" in error and "Traceback" not in error


def test_skipped_files_of_a_folder_are_named_in_one_line(made):
    _, (_, _, error) = made
    (line,) = [line for line in error.splitlines() if "skipped" in line]
    assert "skipped 5 files" in line and "1 .gif" in line and "loop.gif" in line and "pipe.mp4" in line


def test_resume_dry_run_and_status(made, footage_made):
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


def test_nothing_kept_is_complete_and_reported(footage_made, tmp_path):
    (tmp_path / "c.yaml").write_text("filters: {length: {min_s: 60}}")
    video = next(footage_made.glob("a*.mp4"))
    code, text, _ = tp_curate("run", video, "--out", tmp_path / "data", "--config", tmp_path / "c.yaml")
    assert code == 0 and "no clip was kept" in text


def test_shards_fill_one_folder_that_export_turns_into_the_dataset_of_one_run(tmp_path):
    for seed in range(4):
        write_shots(tmp_path / "in" / f"{seed}.mp4", [(SPEAKER, 80)], seed=seed)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    config = tmp_path / "c.yaml"
    config.write_text("export: {duplicates: null}")
    assert tp_curate("run", tmp_path / "in", "--out", whole, "--config", config)[0] == 0
    worked = 0
    for number in (1, 2, 3):
        arguments = ("run", tmp_path / "in", "--out", parts, "--shard", f"{number}/3", "--config", config)
        code, text, error = tp_curate(*arguments, "--json")
        assert code == 0 and "tp-curate export" in error and not list(parts.glob("clips/*"))
        worked += json.loads(text)["sources"]["worked_on"]
    assert worked == 4
    code, text, _ = tp_curate("export", parts, "--config", config)
    assert code == 0 and "4 clips" in text
    for path in [*whole.glob("*/*.parquet"), whole / "verdicts.jsonl", whole / "README.md"]:
        assert (parts / path.relative_to(whole)).read_bytes() == path.read_bytes()
    # A run of the whole list finds nothing to do.
    document = json.loads(tp_curate("run", tmp_path / "in", "--out", parts, "--config", config, "--json")[1])
    assert document["sources"] == {"in_dataset": 4, "done_before": 4, "worked_on": 0, "errors": 0}
    assert tp_curate("run", tmp_path / "in", "--out", parts, "--shard", "1/3", "--fresh")[0] == 2


def test_duplicates_are_counted_alike_everywhere(tmp_path):
    first = write_shots(tmp_path / "in" / "a.mp4", [(SPEAKER, 90)], seed=1)
    # The same footage in another file.
    (tmp_path / "in" / "b.mp4").write_bytes(first.read_bytes() + bytes(8))
    out = tmp_path / "data"
    code, text, _ = tp_curate("run", tmp_path / "in", "--out", out, "--json")
    document = json.loads(text)
    assert code == 0 and document["clips"] == {
        "kept": 1, "frames": 90, "seconds": 3.6, "duplicates": 1, "long": 0,
    }  # fmt: skip
    assert json.loads(tp_curate("status", out, "--json")[1])["clips"] == document["clips"]
    text = tp_curate("status", out)[1]
    assert "1 clips, 3.6 s, 90 frames" in text and "duplicate of another source" in text
    import pyarrow.parquet as pq

    (row,) = [row for path in out.glob("manifest/*.parquet") for row in pq.read_table(path).to_pylist()]
    explained = [tp_curate("explain", out, name)[1] for name in ("a.mp4", "b.mp4")]
    assert sorted(re.findall(r"^(KEPT|DUPLICATE)", "\n".join(explained), re.MULTILINE)) == [
        "DUPLICATE",
        "KEPT",
    ]
    assert f"clip {row['clip_id']} of another source" in "".join(explained)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.mp4", "--out", "OUT"], "missing.mp4: No such file"),
        (["run", "x" * 300 + ".mp4", "--out", "OUT"], "File name too long"),
        (["run", "EMPTY", "--out", "OUT"], "no video in this folder"),
        (["run", "PIPE", "--out", "OUT"], "not a regular file"),
        (["run", "/dev/zero", "--out", "OUT"], "not a regular file"),
        (["run", "EMPTY"], "--out"),
        (["run", "VIDEO", "--out", "OUT", "--config", "none.yaml"], "No such file"),
        (["run", "VIDEO", "--out", "OUT", "--config", "PIPE"], "not a regular file"),
        (["run", "VIDEO", "--out", "OUT", "--workers", "0"], "--workers"),
        (["run", "VIDEO", "--out", "OUT", "--shard", "4/3"], "--shard '4/3'"),
        (["run", "VIDEO", "--out", "OUT", "--shard", "auto"], "--shard auto"),
        (["run", "VIDEO", "--out", "VIDEO"], "a file of this name"),
        (["run", "VIDEO", "--out", "FULL"], "not empty"),
        (["run", "VIDEO", "--out", "/"], "not empty"),
        (["run", "VIDEO", "--out", "OUT/" + "x" * 300], "File name too long"),
        (["run", "VIDEO", "--out", "OUT/two\nlines"], "control characters"),
        (["run", "VIDEO", "--out", "OUT/caf\udce9"], "not UTF-8"),
        (["status", "EMPTY"], "no run of tp-curate"),
        (["export", "EMPTY"], "no run of tp-curate"),
        (["judge"], "judge"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, footage_made, tmp_path, monkeypatch):
    for name in ("SLURM_ARRAY_TASK_ID", "RANK"):
        monkeypatch.delenv(name, raising=False)
    places = {"OUT": tmp_path / "out", "EMPTY": tmp_path / "empty", "FULL": tmp_path / "full"}
    places |= {"VIDEO": footage_made / "broken.mp4", "PIPE": footage_made / "pipe.mp4"}
    places["EMPTY"].mkdir()
    places["FULL"].mkdir()
    (places["FULL"] / "thesis.tex").write_text("mine")
    given = [str(places.get(a, a)).replace("OUT/", f"{places['OUT']}/") for a in arguments]
    code, out, error = tp_curate(*given)
    assert code == 2 and out == ""
    assert len(error.strip().splitlines()) == 1 and message in error
    assert not places["OUT"].exists()


def test_an_output_path_of_300_characters_works(footage_made, tmp_path):
    out = tmp_path / "/".join(["d" * 99] * 3)
    code, text, _ = tp_curate("run", next(footage_made.glob("a*.mp4")), "--out", out)
    assert code == 0 and "1 clips" in text


def test_closed_or_full_stdout_and_little_memory_are_at_most_one_line(made, footage_made, tmp_path):
    out, _ = made
    program = f"{sys.executable} -c 'from curation.cli.app import main; main()'"
    video = next(footage_made.glob("broken*"))
    commands = {
        f"{program} status {out} --json | true; exit ${{PIPESTATUS[0]}}": (0, 1, 2),
        f"{program} status {out} >&-": (0,),
        f"{program} status {out} > /dev/full": (2,),
        f"ulimit -v 150000; {program} run {video} --out {tmp_path / 'out'}": (2,),
    }
    started = [
        subprocess.Popen(["bash", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in commands
    ]
    for process, (line, codes) in zip(started, commands.items(), strict=True):
        _, error = process.communicate(timeout=120)
        assert process.returncode in codes, (line, error)
        assert len(error.splitlines()) == (process.returncode == 2), (line, error)
    assert not (tmp_path / "out").exists()


def test_summaries_of_commands_fit_into_80_columns():
    done = subprocess.run(
        [sys.executable, "-c", "from curation.cli.app import main; main()", "--help"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    commands = done.stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert len(commands) >= 15
    for line in commands:
        name, summary = line.strip().split(maxsplit=1)
        assert len(summary) <= 60 and not summary.endswith("..."), name


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from curation.cli.app import app; from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "heavy = {'av', 'cv2', 'datasets', 'mediapipe', 'numpy', 'pandas', 'scenedetect', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
