"""Hostile contestants: none gets a better number than its frames deserve, and none ends the evaluator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import app
from benchmark.protocols.protocol import Protocol
from benchmark.results import Run, read_case, read_run
from benchmark.runner.hosts.isolation import IsolatedHost
from talkingpose.io import console
from tests.benchmark.tiny_runs import CLIPS, protocol_everywhere, run, tiny_protocol

HERE = Path(__file__).parents[1]
BOTH = pytest.mark.parametrize("in_process", [True, False], ids=["in process", "isolated"])


@pytest.fixture(autouse=True)
def _rules(tiny_rules: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)


@pytest.fixture(scope="module")
def honest(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of the portrait at every step, under the rules of the tests."""
    with pytest.MonkeyPatch.context() as patch, protocol_everywhere(tiny_protocol()):
        patch.chdir(HERE)
        return run("attacks:Still", tiny, tmp_path_factory.mktemp("runs") / "still")


def attack(name: str, tiny: Path, out: Path, **options: Any) -> Run:
    return run(f"attacks:{name}", tiny, out, **options)


def reasons(result: Run) -> list[str]:
    messages = [entry.message for entry in result.audit if entry.kind == "failed"]
    assert all("\n" not in message for message in messages)
    return messages


def frames_of(out: Path, clip_id: str = "tiny-a") -> str:
    return read_case(out / f"cases/{clip_id}.json").frames_sha256


@BOTH
def test_what_a_contestant_is_given_is_not_what_it_is_scored_by(
    honest: Run, tiny: Path, tmp_path: Path, in_process: bool
) -> None:
    result = attack("PaintsInputs", tiny, tmp_path / "run", in_process=in_process)
    assert result.metrics == honest.metrics


@BOTH
def test_the_number_of_frames_is_that_of_the_plan(tiny: Path, tmp_path: Path, in_process: bool) -> None:
    result = attack("FewFrames", tiny, tmp_path / "run", in_process=in_process)
    assert result.status == "failed"
    assert len(reasons(result)) == 3 and all("stopped after 4 frames" in reason for reason in reasons(result))


@BOTH
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("SubclassFrames", "yields Subclass, not uint8"),
        ("MaskedFrames", "yields MaskedArray, not uint8"),
        ("ListSubclass", "yields Frames, not a list"),
    ],
)
def test_only_plain_arrays_are_frames(
    tiny: Path, tmp_path: Path, name: str, says: str, in_process: bool
) -> None:
    result = attack(name, tiny, tmp_path / "run", in_process=in_process)
    assert result.status == "failed" and all(says in reason for reason in reasons(result)), reasons(result)


@BOTH
def test_info_is_read_once(tiny: Path, tmp_path: Path, in_process: bool) -> None:
    """It saw driving frames, and cannot say afterwards that it did not."""
    result = attack("Fickle", tiny, tmp_path / "run", limit=1, in_process=in_process)
    assert result.contestant.saw_driving_frames and result.contestant.revision == "1"
    assert attack("Fickle", tiny, tmp_path / "run", limit=1, in_process=in_process).status == "complete"


@pytest.fixture
def tp_eval(tiny: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """The command line: exit code, standard output, standard error."""

    def call(model: str, out: Path, *words: str) -> tuple[object, str, str]:
        options = {"--model": model, "--dataset": tiny, "--device": "cpu", "--out": out}
        with pytest.raises(SystemExit) as stopped:
            arguments = [str(word) for option in options.items() for word in option]
            console.run(app.app, "tp-eval", ["run", *arguments, *words])
        return stopped.value.code, *capfd.readouterr()

    return call


@BOTH
def test_printing_does_not_reach_standard_output(tp_eval: Any, tmp_path: Path, in_process: bool) -> None:
    words = ["--json", "--limit", "1", *(["--in-process"] if in_process else [])]
    code, output, errors = tp_eval("attacks:Prints", tmp_path / "run", *words)
    document = json.loads(output)
    assert code == 0 and document["contestant"]["isolated"] is not in_process
    assert "noise on stdout" in errors and "noise below stdout" in errors


@BOTH
def test_sys_exit_is_a_failure(tp_eval: Any, tmp_path: Path, in_process: bool) -> None:
    words = ["--in-process"] if in_process else []
    code, _, errors = tp_eval("attacks:SystemExits", tmp_path / "run", *words)
    assert code == 3 and read_run(tmp_path / "run").status == "failed"
    assert "failed at frame 0: SystemExit" in errors
    code, _, errors = tp_eval("attacks:SystemExitsAtOnce", tmp_path / "again", *words)
    assert code == 2 and not (tmp_path / "again").exists()
    assert len(errors.splitlines()) == 1 and "construction failed: SystemExit" in errors


def test_a_process_that_ends_or_dies_is_a_failed_case(tiny: Path, tmp_path: Path) -> None:
    result = attack("HardExits", tiny, tmp_path / "exit", in_process=False)
    assert result.status == "partial"
    assert reasons(result) == ["the contestant's process ended at frame 3 (exit code 0)"]
    result = attack("Dies", tiny, tmp_path / "signal", in_process=False)
    assert result.status == "failed"
    assert reasons(result)[0] == "the contestant's process died at frame 0 (SIGSEGV)"


def test_a_process_that_hangs_is_a_failed_case(tiny: Path, tmp_path: Path) -> None:
    result = attack("Hangs", tiny, tmp_path / "hang", in_process=False, limit=1, timeout_s=3)
    assert reasons(result) == ["the contestant hangs at frame 0: nothing for 3 s"]
    result = attack("ForksAndDies", tiny, tmp_path / "fork", in_process=False, limit=1)
    assert reasons(result) == ["the contestant's process ended at frame 0 (exit code 0)"]


def test_a_contestant_that_always_dies_is_not_tried_for_every_clip(tiny: Path) -> None:
    host = IsolatedHost("attacks:Dies", checkpoint=None, device="cpu", args={}, timeout_s=60)
    host._deaths = 3
    with pytest.raises(Exception, match="failed 3 times in a row"):
        next(host.steps([], 0))
    host.close()


@BOTH
def test_another_current_directory_breaks_nothing(
    honest: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: bool
) -> None:
    here = os.path.relpath(tiny, HERE)
    out = Path(os.path.relpath(tmp_path / "run", HERE))
    result = attack("ChangesDirectory", Path(here), out, in_process=in_process)
    monkeypatch.chdir(HERE)
    assert result.metrics == honest.metrics and read_run(tmp_path / "run").status == "complete"


def test_work_in_threads_counts(tiny: Path, tmp_path: Path) -> None:
    """A second of work is hidden behind the scoring of frames."""
    result = attack("Threads", tiny, tmp_path / "run", in_process=False, limit=1)
    assert result.cost is not None and result.cost.generation_s > 0.9


def test_replaced_functions_change_no_number(honest: Run, tiny: Path, tmp_path: Path) -> None:
    assert attack("Patches", tiny, tmp_path / "run", in_process=False).metrics == honest.metrics


def test_the_real_frames_are_not_in_the_process(honest: Run, tiny: Path, tmp_path: Path) -> None:
    result = attack("Walks", tiny, tmp_path / "run", in_process=False)
    assert result.metrics == honest.metrics


def test_the_process_holds_no_module_and_no_path_of_the_evaluator(tiny: Path, tmp_path: Path) -> None:
    result = attack("Reveals", tiny, tmp_path / "run", in_process=False, limit=1)
    (reason,) = reasons(result)
    assert "modules [] " in reason and "ClipDataset False" in reason
    assert str(tiny) not in reason and str(tmp_path) not in reason


def test_both_modes_give_the_same_bits(tiny: Path, tmp_path: Path) -> None:
    for model in ("attacks:Still", "drift", "reencode"):
        results = []
        for in_process in (True, False):
            out = tmp_path / f"{model}-{in_process}"
            result = run(model, tiny, out, in_process=in_process)
            assert result.contestant.isolated is not in_process
            hashes = [frames_of(out, clip.clip_id) for clip in CLIPS]
            tables = [(out / f"frames/{clip.clip_id}.parquet").read_bytes() for clip in CLIPS]
            results.append((result.metrics, result.drift, hashes, tables))
        assert results[0] == results[1]


def test_a_folder_named_like_a_package_changes_nothing(tmp_path: Path) -> None:
    """The current directory is searched last."""
    for name in ("benchmark", "baselines", "talkingpose", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')")
    (tmp_path / "own.py").write_text((HERE / "attacks.py").read_text())
    command = str(Path(sys.executable).parent / "tp-eval")
    for words in (["own:Still"], ["own:Still", "--in-process"], ["frozen"]):
        done = subprocess.run([command, "validate", *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and "0 errors" in done.stdout, done.stdout + done.stderr
