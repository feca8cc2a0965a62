"""The command line: what stands on stdout and stderr, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from benchmark.results import json_schema
from tests.benchmark.drawn_clips import write_dataset

HERE = Path(__file__).parents[1]


def tp_eval(*words: object) -> subprocess.CompletedProcess[str]:
    program = "from benchmark.cli.app import main; main()"
    arguments = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(arguments, cwd=HERE, capture_output=True, text=True, timeout=120)


def test_run_is_the_default_command(dataset: Path, tmp_path: Path) -> None:
    done = tp_eval("--model", "frozen", "--dataset", dataset, "--limit", 1, "--max-frames", 101,
                   "--out", tmp_path / "run", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, json_schema())
    assert document == json.loads((tmp_path / "run/run.json").read_text())
    first = done.stderr.splitlines()[0]
    assert first.startswith("tp-eval: frozen, protocol tp-long@1 (")
    assert "(test), 1 clip, 101 frames" in first and "not comparable: --limit 1 --max-frames 101" in first


def test_the_table_is_on_stdout_alone(dataset: Path, tmp_path: Path) -> None:
    done = tp_eval("run", "--model", "frozen", "--dataset", dataset, "--limit", 1, "--out", tmp_path / "run")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["psnr", "psnr_pooled", "psnr.face"] and lines[
        0
    ].split()[:2] == ["metric", "value"]
    assert all(line.startswith("tp-eval: ") for line in done.stderr.splitlines())


def test_a_partial_run_exits_with_3_and_names_what_failed(dataset: Path, tmp_path: Path) -> None:
    done = tp_eval(
        "--model", "sample_contestants:WrongSizeOnce", "--dataset", dataset, "--out", tmp_path / "r"
    )
    assert done.returncode == 3
    assert "clip-b: failed: frame 7" in done.stderr and "partial: 1 of 3 clips failed" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--model", "nobody"),
        ("--model", "frozen", "--limit", "0"),
        ("--model", "frozen", "--limit", "many"),
        ("--model", "frozen", "--split", "val"),
        ("--model", "frozen", "--protocol", "tp-long@9"),
        ("--model", "frozen", "--device", "tpu"),
        ("--model", "frozen", "--model-args", "steps"),
        ("--model", "frozen", "--out", "/dev/null/run"),
        ("--model", "frozen", "--dataset", "/nowhere"),
    ],
    ids=lambda words: " ".join(words[-2:]),
)
def test_wrong_use_is_one_line(dataset: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = tp_eval("--dataset", dataset, "--out", tmp_path / "run", *words)
    assert done.returncode == 2
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("tp-eval: error: ")
    assert not (tmp_path / "run").exists()


def test_a_dataset_without_the_columns_or_with_a_bad_video(
    tmp_path: Path, rows: dict[str, dict[str, Any]]
) -> None:
    import pyarrow.parquet

    bad = {"bytes": b"no video", "path": "x.mp4"}
    unreadable = write_dataset(tmp_path / "a", {"test": [rows["clip-a"] | {"video": bad, "sha256": None}]})
    lacking = write_dataset(tmp_path / "b", {"test": [rows["clip-a"]]})
    file = next((lacking / "clips").iterdir())
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file).drop_columns(["keypoints"]), file)
    for folder, what in ((unreadable, "clip-a"), (lacking, "keypoints")):
        done = tp_eval("--model", "frozen", "--dataset", folder, "--out", tmp_path / "run")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1 and what in done.stderr, done.stderr
        assert not (tmp_path / "run").exists()


def test_lists_and_schema() -> None:
    contestants = tp_eval("ls", "contestants").stdout
    for name in ("talkingpose", "open-loop", "frozen", "ground-truth", "reencode"):
        assert f"{name}  baselines." in contestants
    metrics = json.loads(tp_eval("ls", "metrics", "--json").stdout)
    assert {"psnr", "psnr.face", "ssim", "tje@1", "warp_error"} <= {m["id"] for m in metrics}
    assert all(m["definition"] and m["source"] and m["blind_spots"] for m in metrics)
    assert "tp-long@1  " in tp_eval("ls", "protocols").stdout
    assert json.loads(tp_eval("schema").stdout) == json_schema()


def test_score_compare_and_validate_have_their_exit_codes(
    dataset: Path, rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for clip_id in ("clip-a", "clip-c"):
        (made / f"{clip_id}.mp4").write_bytes(rows[clip_id]["video"]["bytes"])
    words = ("score", "--predictions", made, "--name", "mine", "--dataset", dataset, "--out", tmp_path / "a",
             "--max-frames", 101)  # fmt: skip
    partial = tp_eval(*words)
    assert partial.returncode == 3 and "clip-b: failed: no prediction" in partial.stderr, partial.stderr
    assert tp_eval("validate", made, "--dataset", dataset).returncode == 3
    (made / "clip-b.mp4").write_bytes(rows["clip-b"]["video"]["bytes"])
    done = tp_eval(*words, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["contestant"]["origin"] == "predictions"
    sound = tp_eval("validate", tmp_path / "a", "--dataset", dataset)
    assert sound.returncode == 0 and sound.stdout.endswith("0 errors, 0 warnings\n"), sound.stdout
    compared = tp_eval("compare", tmp_path / "a", tmp_path / "a", "--json", "--fail-on-regression")
    assert compared.returncode == 0
    assert {m["verdict"] for m in json.loads(compared.stdout)["metrics"]} <= {
        "too few clusters to judge", "unknown",
    }  # fmt: skip
    for wrong in (("compare", tmp_path / "a", made), ("rescore", tmp_path / "a"), ("validate", "nothing"),
                  ("score", "--predictions", tmp_path, "--name", "x", "--dataset", dataset)):  # fmt: skip
        refused = tp_eval(*wrong)
        assert (refused.returncode, refused.stdout) == (2, "") and len(refused.stderr.splitlines()) == 1
