"""`--config` and `--dry-run` of `tp-eval run` and `score`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmark.cli import app
from benchmark.cli.options_file import default_options
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
        f"device: cpu\nin_process: true\nout: {tmp_path / 'run'}\n"
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
    assert (code, out) == (0, "")  # everything is done


def test_the_defaults_file_holds_every_option_with_its_default() -> None:
    """Help shows the defaults of the signatures; they are those of the file."""
    documented = default_options()
    commands = typer.main.get_command(app.app).commands  # type: ignore[attr-defined]
    names = set()
    for command in (commands["run"], commands["score"]):
        for parameter in command.params:
            (name, *_) = (word.removeprefix("--") for word in parameter.opts)
            if name in ("config", "dry-run"):
                continue
            names.add(name)
            default = None if parameter.required else parameter.default
            assert (documented[name] or None) == (default or None), name
    assert names == documented.keys()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("modle: lag", "'modle': no such option"),
        ("limit: many", "Invalid value for '--limit'"),
        ("limit: [1]", "limit: give one plain value"),
        ("- model", "not a mapping"),
        ("model: [", "invalid YAML"),
        ("\x00", "invalid YAML"),
        ("1: 2", "not a mapping"),
        ("", "not a mapping"),
    ],
)
def test_a_file_that_cannot_be_is_one_line(tp_eval: Any, tmp_path: Path, text: str, problem: str) -> None:
    code, out, err = tp_eval("run", "--model", "lag", "--config", config(tmp_path, text))
    assert (code, out) == (2, "") and problem in err and err.count("\n") == 1
    assert tp_eval("run", "--config", tmp_path / "none.yaml")[2].endswith(
        "No such file or directory: check the path\n"
    )
