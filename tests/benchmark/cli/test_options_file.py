"""`--config` and `--dry-run` of `tp-eval run` and `score`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import app
from benchmark.protocols.protocol import Protocol
from talkingpose.io import console
from tests.benchmark.tiny_runs import IDS


@pytest.fixture
def tp_eval(tiny_rules: Protocol, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            console.run(app.app, "tp-eval", [str(word) for word in words])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err  # type: ignore[return-value]

    return call


def config(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_command_line_goes_before_the_file(tp_eval: Any, tiny: Path, tmp_path: Path) -> None:
    text = (
        f"model: lag\nmodel-args: {{frames: 2}}\ndataset: {tiny}\nlimit: 2\nprotocol: tp-long@1\n"
        f"device: cpu\nout: {tmp_path / 'run'}\n"
    )
    path = config(tmp_path, text)
    code, out, err = tp_eval("run", "--config", path, "--dry-run", "--json")
    assert code == 0 and [row["clip_id"] for row in json.loads(out)] == IDS[:2]
    assert "not comparable: --limit 2" in err and not (tmp_path / "run").exists()
    code, out, _ = tp_eval("run", "--config", path, "--limit", 1, "--json")
    document = json.loads(out)
    assert (code, document["limit"], document["contestant"]["args"]) == (0, 1, {"frames": 2})
    assert "--model-args frames=2" in document["command"] and "--config" not in document["command"]
    code, out, _ = tp_eval("run", "--config", path, "--limit", 1, "--dry-run")
    assert (code, out) == (0, "")  # nothing is left to do


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("modle: lag", "'modle': no such option: batch-size, "),
        ("limit: many", "Invalid value for '--limit'"),
        ("limit: [1]", "limit: give one plain value"),
        ("- model", "no mapping"),
        ("model: [", "no YAML"),
        ("\x00", "no YAML"),
        ("1: 2", "no mapping"),
        ("", "no mapping"),
    ],
)
def test_a_file_that_cannot_be_is_one_line(tp_eval: Any, tmp_path: Path, text: str, problem: str) -> None:
    code, out, err = tp_eval("run", "--model", "lag", "--config", config(tmp_path, text))
    assert (code, out) == (2, "") and problem in err and err.count("\n") == 1
    assert tp_eval("run", "--config", tmp_path / "none.yaml")[2].endswith(
        "No such file or directory: check the path\n"
    )
