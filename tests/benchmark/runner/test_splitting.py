"""Batches, shards, an interruption: however a run is cut up, its bits are the same."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import psutil
import pytest

from benchmark.errors import EvaluationError
from benchmark.results import read_run
from benchmark.run_dir import RunDir
from benchmark.runner import evaluate, prepared_run, run_document, workers
from benchmark.runner.devices import WorkerDevice, parse_devices, same_device
from benchmark.runner.evaluate import CaseOutcome
from benchmark.runner.run_settings import RunSettings
from benchmark.runner.workers import evaluate_in_workers
from talkingpose.io.progress import SILENT
from tests.benchmark.runner.test_interruption import SLOW, result, start, wait_for
from tests.benchmark.tiny_runs import IDS, run

HERE = Path(__file__).parents[1]
NOISE = "sample_contestants:Noise"


@pytest.fixture(autouse=True)
def _third_party(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    request.getfixturevalue("tiny_rules")
    monkeypatch.chdir(HERE)
    yield


@pytest.fixture
def whole(tiny: Path, tmp_path: Path) -> dict[str, Any]:
    run(NOISE, tiny, tmp_path / "whole")
    return result(tmp_path / "whole")


@pytest.mark.parametrize("size", [1, 2, 8])
def test_batches(tiny: Path, tmp_path: Path, whole: dict[str, Any], size: int) -> None:
    run(NOISE, tiny, tmp_path / "run", batch_size=size)
    assert result(tmp_path / "run") == whole


def test_generation_ahead_of_the_scores(
    tiny: Path, tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "frames_ahead", lambda run: 4)
    run(NOISE, tiny, tmp_path / "run")
    assert result(tmp_path / "run") == whole
    failed = run("sample_contestants:FailsOnB", tiny, tmp_path / "failed")
    assert [entry.clip_id for entry in failed.audit if entry.kind == "failed"] == ["tiny-b"]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_shards_one_after_another(
    tiny: Path, tmp_path: Path, whole: dict[str, Any], order: tuple[int, int]
) -> None:
    first = run(NOISE, tiny, tmp_path / "run", shard=(order[0], 2), batch_size=1)
    assert first.status == "partial"
    pending = {entry.clip_id for entry in first.audit if entry.kind == "pending"}
    assert pending == set(IDS) - {p.stem for p in (tmp_path / "run/cases").iterdir()} and pending
    assert run(NOISE, tiny, tmp_path / "run", shard=(order[1], 2), batch_size=1).status == "complete"
    assert result(tmp_path / "run") == whole


def test_a_shard_without_work_and_a_run_that_completes_the_rest(
    tiny: Path, tmp_path: Path, whole: dict[str, Any]
) -> None:
    assert run(NOISE, tiny, tmp_path / "run", shard=(9, 9)).status == "partial"
    assert not list((tmp_path / "run/cases").iterdir())
    run(NOISE, tiny, tmp_path / "run", shard=(1, 9))
    assert run(NOISE, tiny, tmp_path / "run").status == "complete"
    assert result(tmp_path / "run") == whole


def test_a_failure_in_one_shard_is_told_by_the_last(tiny: Path, tmp_path: Path) -> None:
    faulty = "sample_contestants:FailsOnB"
    for which in (2, 1, 3):
        found = run(faulty, tiny, tmp_path / "run", shard=(which, 3), batch_size=1)
    assert found.status == "partial"
    assert [(e.kind, e.clip_id) for e in found.audit if e.kind in ("failed", "pending")] == [
        ("failed", "tiny-b")
    ]


@pytest.mark.parametrize(("shard", "fresh"), [((0, 2), False), ((3, 2), False), ((1, 2), True)])
def test_wrong_shards_are_refused(tiny: Path, tmp_path: Path, shard: tuple[int, int], fresh: bool) -> None:
    with pytest.raises(EvaluationError):
        run(NOISE, tiny, tmp_path / "run", shard=shard, fresh=fresh)
    assert not (tmp_path / "run").exists()


def test_wrong_numbers_of_workers_are_refused() -> None:
    for number in (0, -1):
        with pytest.raises(EvaluationError, match="--workers"):
            same_device("cpu", number, f"--workers {number}")


@pytest.mark.parametrize(
    ("text", "visible", "expected"),
    [
        ("all", None, ["0", "1", "2"]),
        ("2,0", None, ["2", "0"]),
        (" 1 , 2 ", "5,6,GPU-77ab", ["6", "GPU-77ab"]),
    ],
)
def test_each_gpu_is_the_only_one_that_its_process_sees(
    text: str, visible: str | None, expected: list[str]
) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    found = parse_devices(text, 3, environ)
    assert [one.visible for one in found] == expected and {one.device for one in found} == {"cuda"}
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    with found[0].environment():
        assert os.environ["CUDA_VISIBLE_DEVICES"] == expected[0]
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def test_cpu_processes_see_what_this_one_sees() -> None:
    assert [(one.device, one.visible) for one in parse_devices("cpu:2")] == [("cpu", None)] * 2


@pytest.mark.parametrize(
    ("text", "num_gpus"),
    [("all", 0), ("0", 0), ("3", 3), ("0,0", 2), ("", 2), ("cpu", 2), ("cpu:0", 2), ("1,", 2), ("-1", 2)],
)
def test_wrong_devices_are_refused(text: str, num_gpus: int) -> None:
    with pytest.raises(EvaluationError, match="--devices"):
        parse_devices(text, num_gpus, {})


def test_shards_on_gpus_of_one_model_complete_one_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Identity names the model of the device, not its index."""
    models = {"cuda:0": "H200", "cuda:1": "H200", "cuda:2": "A100"}
    monkeypatch.setattr(prepared_run, "pick_device", str)
    monkeypatch.setattr(
        run_document,
        "device_facts",
        lambda device: {"device": device.partition(":")[0], "device_model": models[device]},
    )
    folder = tmp_path / "run"
    run("frozen", tiny, folder, device="cuda:0", shard=(1, 2), batch_size=1)
    with pytest.raises(EvaluationError, match="A100"):
        run("frozen", tiny, folder, device="cuda:2", shard=(2, 2), batch_size=1)
    assert run("frozen", tiny, folder, device="cuda:1", shard=(2, 2), batch_size=1).status == "complete"
    run("frozen", tiny, tmp_path / "one", device="cuda:0", batch_size=1)
    assert _cases(folder) == _cases(tmp_path / "one")


def test_a_run_of_a_version_that_stored_the_index_resumes(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_run, "pick_device", str)
    monkeypatch.setattr(run_document, "device_facts", lambda device: {"device": device})
    run("frozen", tiny, tmp_path / "run", device="cuda:1", shard=(1, 2), batch_size=1)
    monkeypatch.setattr(run_document, "device_facts", lambda _: {"device": "cuda", "device_model": "H200"})
    assert run("frozen", tiny, tmp_path / "run", device="cuda", batch_size=1).status == "complete"


def test_workers_that_cannot_start_say_why_once(tmp_path: Path) -> None:
    settings = RunSettings(model="frozen", dataset=str(tmp_path / "nowhere"), out=tmp_path / "run")
    with pytest.raises(EvaluationError, match=r"^dataset .*nowhere"):
        evaluate_in_workers(settings, same_device("cpu", 2, ""), SILENT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("first", "beside", "refused"),
    [
        ((None, (1, 2)), (None, (2, 2)), (None, (1, 3))),
        (((1, 2), None), ((2, 2), (1, 4)), ((1, 2), (1, 4))),
        (((1, 2), (1, 2)), ((1, 2), (2, 2)), ((1, 3), (2, 2))),
        (((1, 2), (1, 2)), ((2, 2), None), (None, (2, 2))),
        (((1, 2), None), ((2, 2), None), (None, None)),
    ],
)
def test_one_folder_is_divided_in_one_way(first: Any, beside: Any, refused: Any, tmp_path: Path) -> None:
    with RunDir(tmp_path).locked(*first), RunDir(tmp_path).locked(*beside):
        for other in (first, refused):
            with pytest.raises(EvaluationError, match="at work"), RunDir(tmp_path).locked(*other):
                pass
    with RunDir(tmp_path).locked(*refused):
        pass


def test_unfinished_files_of_another_division_are_deleted(tmp_path: Path) -> None:
    with RunDir(tmp_path).locked(None, (3, 3)):
        pass
    (tmp_path / ".partial/worker-3-of-3").mkdir(parents=True)  # as after a kill
    with RunDir(tmp_path).locked(None, (1, 2)):
        pass
    assert not (tmp_path / ".partial").exists()


class _ScriptedWorker:
    """Worker without a process: it takes one batch, then ends as `ENDINGS` says for its number."""

    ENDINGS: ClassVar[list[str]] = []

    def __init__(self, settings: RunSettings, device: WorkerDevice, number: int, of: int) -> None:
        self.name, self.settings, self.batch = device.name, settings, None
        self.pipe, self._theirs = multiprocessing.Pipe()
        self._ending = self.ENDINGS[number - 1]
        self.process = SimpleNamespace(exitcode=-9 if self._ending == "killed" else 0)
        self._theirs.send(workers._Report("missing", {0: (1, 10)}))

    def send(self, message: object) -> None:
        if isinstance(message, list):
            self._theirs.send(workers._Report("complete"))
        elif self._ending == "works":
            self._theirs.send(workers._Report("case", CaseOutcome("a", "a: 10 frames")))
            self._theirs.send(workers._Report("batch"))
        else:
            if self._ending != "killed":
                self._theirs.send(workers._Report("error", self._ending))
            self._theirs.close()

    def join(self, timeout_s: float | None = None) -> None:
        pass


@pytest.mark.parametrize(
    ("endings", "error"),
    [
        (["works", "killed"], None),
        (["works", "disk full: free space"], None),
        (["killed", "killed"], "run the same command again"),
        (["works", "killed", "killed"], "run the same command again"),
        (["disk full: free space", "killed"], "^disk full: free space$"),
    ],
)
def test_a_batch_is_tried_twice(
    endings: list[str], error: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ScriptedWorker, "ENDINGS", endings)
    monkeypatch.setattr(workers, "_Worker", _ScriptedWorker)
    monkeypatch.setattr(workers, "read_run", lambda folder: "run")
    settings = RunSettings(model="frozen", dataset="tp-mini", out=tmp_path)
    devices = same_device("cpu", len(endings), "")
    if error is None:
        assert evaluate_in_workers(settings, devices, SILENT) == "run"
        return
    with pytest.raises(EvaluationError, match=error):
        evaluate_in_workers(settings, devices, SILENT)


def test_shards_at_once(tiny: Path, tmp_path: Path, whole: dict[str, Any]) -> None:
    """Three processes in one folder, one of them killed and started again."""
    out = tmp_path / "run"
    processes = [start(tiny, out, SLOW, "--shard", f"{index}/3") for index in (1, 2, 3)]
    wait_for(lambda: any((out / ".partial").glob("3-of-3/.tiny*")), processes[2])
    processes[2].kill()
    for process in processes:
        _, errors = process.communicate(timeout=400)
        assert process.returncode == (-9 if process is processes[2] else 0), errors
    _, errors = start(tiny, out, 0, "--shard", "3/3").communicate(timeout=400)
    assert read_run(out).status == "complete" and not (out / ".partial").exists()
    assert _cases(out) == {name: value for name, value in whole.items() if name != "run.json"}


def test_a_killed_worker_loses_no_finished_clip(tiny: Path, tmp_path: Path, whole: dict[str, Any]) -> None:
    """Two processes share the queue; one is killed in its clip, and the other does it again."""
    out = tmp_path / "run"
    process = start(tiny, out, SLOW, "--devices", "cpu:2")
    drafts = out / ".partial"
    wait_for(lambda: all(any((drafts / f"worker-{i}-of-2").glob(".tiny*")) for i in (1, 2)), process)
    workers = [
        one for one in psutil.Process(process.pid).children() if "--multiprocessing-fork" in one.cmdline()
    ]
    assert len(workers) == 2
    workers[1].kill()
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert "ended early (exit code -9)" in errors and "3/3" in errors
    assert _cases(out) == {name: value for name, value in whole.items() if name != "run.json"}
    assert read_run(out).status == "complete" and not drafts.exists()


def _cases(out: Path) -> dict[str, Any]:
    """Everything but the document of the run, which names where the contestant ran."""
    return {name: value for name, value in result(out).items() if name != "run.json"}
