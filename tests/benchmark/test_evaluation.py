"""Public API: `evaluate` and `load_run`."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import Run, evaluate, load_run
from benchmark.errors import EvaluationError
from tests.benchmark.sample_contestants import Noise


@pytest.mark.parametrize("public", [evaluate, load_run])
def test_the_example_in_the_docstring_runs(public: Callable[..., object]) -> None:
    (test,) = doctest.DocTestFinder(recurse=False).find(public, globs={})
    assert len(test.examples) >= 4
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.fixture
def tiny_run(
    tiny: Path, tiny_rules: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Run]:
    """Evaluate on the small dataset."""
    monkeypatch.chdir(tmp_path)

    def call(contestant: object, **options: object) -> Run:
        return evaluate(contestant, dataset=tiny, device="cpu", **options)  # type: ignore[arg-type]

    return call


def test_an_object_is_evaluated_in_this_process(tiny_run: Callable[..., Run], tmp_path: Path) -> None:
    run = tiny_run(Noise(checkpoint=None, device="cpu"), out=tmp_path / "run", limit=1)
    assert (run.status, run.contestant.name, run.contestant.isolated) == ("complete", "noise", False)
    assert "--in-process" in run.command and "sample_contestants:Noise" in run.command
    assert load_run(tmp_path / "run") == load_run(tmp_path / "run" / "run.json") == run


def test_a_class_is_created_here_or_by_its_name_elsewhere(
    tiny_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Local(Noise):
        pass

    here = tiny_run(Local, out=tmp_path / "here", limit=1, model_args={"strength": "3"})
    assert here.contestant.isolated is False and here.contestant.args == {"strength": 3}
    monkeypatch.syspath_prepend(Path(__file__).parent)
    importable = importlib.import_module("sample_contestants").Noise
    elsewhere = tiny_run(importable, out=tmp_path / "elsewhere", limit=1, model_args={"strength": "3"})
    assert elsewhere.contestant.isolated is True and elsewhere.contestant.args == {"strength": 3}


def test_the_default_folder_is_that_of_the_command(tiny_run: Callable[..., Run]) -> None:
    assert tiny_run("frozen", limit=1, protocol="tp-long@1").status == "complete"
    assert load_run("runs/frozen").contestant.name == "frozen"


def test_settings_of_an_object_are_refused(tiny_run: Callable[..., Run]) -> None:
    with pytest.raises(EvaluationError, match="exists already"):
        tiny_run(Noise(checkpoint=None, device="cpu"), model_args={"strength": "3"})
