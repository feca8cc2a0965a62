"""Command line: standard output, standard error and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet
import pytest
import typer

from benchmark.cli import app
from benchmark.results import json_schema
from talkingpose.io import console
from tests.benchmark.drawn_clips import write_dataset
from tests.benchmark.tiny_runs import CLIPS, IDS, frames, run, write_video

HERE = Path(__file__).parents[1]
TpEval = Callable[..., tuple[object, str, str]]


@pytest.fixture
def tp_eval(tiny_rules: object, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> TpEval:
    """Run the command in this process, under rules for short clips."""
    monkeypatch.chdir(HERE)

    def call(*words: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as stopped:
            console.run(app.app, "tp-eval", [str(word) for word in words])
        return stopped.value.code, *capfd.readouterr()

    return call


def options(dataset: Path, out: Path) -> tuple[object, ...]:
    return ("--dataset", dataset, "--out", out, "--device", "cpu", "--protocol", "tp-long@1")


def test_run_is_the_default_command(dataset: Path, tmp_path: Path) -> None:
    """The program itself, with a contestant in its own process."""
    words = (
        "--model",
        "frozen",
        "--limit",
        1,
        "--max-frames",
        101,
        "--json",
        *options(dataset, tmp_path / "run"),
    )
    arguments = [sys.executable, "-c", "from benchmark.cli.app import main; main()", *map(str, words)]
    done = subprocess.run(arguments, cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, json_schema())
    assert document == json.loads((tmp_path / "run/run.json").read_text())
    first, *others = done.stderr.splitlines()
    assert first.startswith("tp-eval: frozen, protocol tp-long@1 (")
    assert "(test), 1 clip, 101 frames" in first and "not comparable: --limit 1 --max-frames 101" in first
    assert all(line.startswith("tp-eval: ") for line in others)


def test_the_table_is_on_stdout_alone(tp_eval: TpEval, tiny: Path, tmp_path: Path) -> None:
    code, out, err = tp_eval("run", "--model", "frozen", "--in-process", *options(tiny, tmp_path / "run"))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["metric", "value"]
    # The primary metrics of tp-long@1 that the small protocol has.
    assert [line.split()[0] for line in lines[1:4]] == ["psnr", "ssim", "tje@2"]
    assert "1 more: --all" in lines and lines[-1].startswith("next: tp-eval report ")
    assert str(tmp_path / "run") in lines[-2]
    assert all(line.startswith("tp-eval: ") for line in err.splitlines())


def test_a_partial_run_exits_with_3_and_names_what_failed(
    tp_eval: TpEval, tiny: Path, tmp_path: Path
) -> None:
    code, _, err = tp_eval(
        "run", "--model", "sample_contestants:WrongSizeOnce", *options(tiny, tmp_path / "run")
    )
    assert code == 3
    assert "tiny-b: failed: frame 7" in err and "partial: 1 of 3 clips failed" in err


@pytest.mark.parametrize(
    "words",
    [
        ("--model", "nobody"),
        ("--model", "frozen", "--limit", "0"),
        ("--model", "frozen", "--limit", "many"),
        ("--model", "frozen", "--split", "val"),
        ("--model", "frozen", "--device", "tpu"),
        ("--model", "frozen", "--model-args", "steps"),
        ("--model", "frozen", "--shard", "2"),
        ("--model", "frozen", "--out", "/dev/null/run"),
        ("--model", "frozen", "--dataset", "/nowhere"),
    ],
    ids=lambda words: " ".join(words[-2:]),
)
def test_wrong_use_is_one_line(tp_eval: TpEval, tiny: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    code, out, err = tp_eval("run", *options(tiny, tmp_path / "run"), *words)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1, err
    assert err.startswith("tp-eval: error: ")
    assert not (tmp_path / "run").exists()


def test_a_dataset_without_the_columns_or_with_a_bad_video(
    tp_eval: TpEval, tmp_path: Path, tiny_rows: dict[str, dict[str, Any]]
) -> None:
    row = tiny_rows["tiny-a"]
    bad = {"bytes": b"no video", "path": "x.mp4"}
    unreadable = write_dataset(tmp_path / "a", {"test": [row | {"video": bad, "sha256": None}]})
    incomplete = write_dataset(tmp_path / "b", {"test": [row]})
    file = next((incomplete / "clips").iterdir())
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file).drop_columns(["keypoints"]), file)
    for folder, what in ((unreadable, "tiny-a"), (incomplete, "keypoints")):
        tp_eval("schema")
        code, _, err = tp_eval("run", "--model", "frozen", *options(folder, tmp_path / "run"))
        assert code == 2 and len(err.splitlines()) == 1 and what in err, err
        assert not (tmp_path / "run").exists()


def test_lists_and_schema(tp_eval: TpEval) -> None:
    _, contestants, _ = tp_eval("ls", "contestants")
    for name in ("talkingpose", "open-loop", "frozen", "ground-truth", "reencode"):
        assert any(line.split()[:1] == [name] for line in contestants.splitlines())
    metrics = json.loads(tp_eval("ls", "metrics", "--json")[1])
    assert {"psnr", "psnr.face", "ssim", "tje@1", "warp_error"} <= {m["id"] for m in metrics}
    assert all(m["definition"] and m["source"] and m["blind_spots"] for m in metrics)
    assert "tp-long@1  " in tp_eval("ls", "protocols")[1]
    assert json.loads(tp_eval("schema")[1]) == json_schema()


def test_summaries_of_commands_are_complete() -> None:
    """Help cuts longer ones off."""
    group = typer.main.get_command(app.app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        summary = command.get_short_help_str(limit=200)
        assert len(summary) <= 60 and not summary.endswith("..."), (name, summary)


def test_score_compare_and_validate_have_their_exit_codes(
    tp_eval: TpEval, tiny: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    for clip in (CLIPS[0], CLIPS[2]):
        write_video(made / f"{clip.clip_id}.mp4", frames(clip, 5))
    words = ("score", "--predictions", made, "--name", "mine", "--dataset", tiny, "--out", tmp_path / "a")
    code, _, err = tp_eval(*words)
    assert code == 3 and "tiny-b: failed: no prediction" in err, err
    assert tp_eval("validate", made, "--dataset", tiny)[0] == 3
    write_video(made / "tiny-b.mp4", frames(CLIPS[1], 5))
    code, out, _ = tp_eval(*words, "--json")
    assert code == 0 and json.loads(out)["contestant"]["origin"] == "predictions"
    code, out, _ = tp_eval("validate", tmp_path / "a", "--dataset", tiny)
    assert code == 0 and out.endswith("0 errors, 0 warnings\n"), out
    code, out, _ = tp_eval("compare", tmp_path / "a", tmp_path / "a", "--json")
    assert code == 0 and json.loads(out)["metrics"]
    for wrong in (("compare", tmp_path / "a", made), ("rescore", tmp_path / "a"), ("validate", "nothing"),
                  ("score", "--predictions", tmp_path, "--name", "x", "--dataset", tiny)):  # fmt: skip
        code, out, err = tp_eval(*wrong)
        assert (code, out) == (2, "") and len(err.splitlines()) == 1, err


def test_rescore_verify_has_its_exit_codes(tp_eval: TpEval, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("sample_contestants:Noise", tiny, out, keep_frames=True)
    code, text, _ = tp_eval("rescore", "--verify", out)
    assert code == 0 and "verified" in text and "seed" in text
    for clip_id in IDS:
        path = out / f"cases/{clip_id}.json"
        document = json.loads(path.read_text())
        document["metrics"]["psnr"]["value"] += 5
        path.write_text(json.dumps(document))
    code, text, _ = tp_eval("rescore", "--verify", out, "--seed", 3, "--json")
    result = json.loads(text)
    assert code == 3 and result["seed"] == 3 and len(result["clips"]) == 1
    assert f"{result['clips'][0]}: psnr: the run says" in result["differences"][0]
