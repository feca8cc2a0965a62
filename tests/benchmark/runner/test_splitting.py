"""Batches, shards, an interruption: however a run is cut up, its bits are the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import EvaluationError
from benchmark.results import read_run
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


def test_wrong_numbers_of_workers_are_refused(tiny: Path, tmp_path: Path) -> None:
    settings = RunSettings(model="frozen", dataset=str(tiny), out=tmp_path / "run", shard=(1, 2))
    for number in (0, -1, 2):
        with pytest.raises(EvaluationError, match="--workers"):
            evaluate_in_workers(settings, number, SILENT)


def test_workers_that_cannot_start_say_why_once(tmp_path: Path) -> None:
    settings = RunSettings(model="frozen", dataset=str(tmp_path / "nowhere"), out=tmp_path / "run")
    with pytest.raises(EvaluationError, match=r"^dataset .*nowhere"):
        evaluate_in_workers(settings, 2, SILENT)
    assert not (tmp_path / "run").exists()


def test_shards_at_once(tiny: Path, tmp_path: Path, whole: dict[str, Any]) -> None:
    """Three processes in one folder, one of them killed and started again."""
    out = tmp_path / "run"
    processes = [start(tiny, out, SLOW, "--shard", f"{index}/3") for index in (1, 2, 3)]
    wait_for(lambda: any((out / ".partial").glob("3-of-3/.tiny*")), processes[2])
    processes[2].kill()
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == (-9 if process is processes[2] else 0), errors
    _, errors = start(tiny, out, 0, "--shard", "3/3").communicate(timeout=120)
    assert read_run(out).status == "complete" and not (out / ".partial").exists()
    assert _cases(out) == {name: value for name, value in whole.items() if name != "run.json"}


def test_workers(tiny: Path, tmp_path: Path, whole: dict[str, Any]) -> None:
    process = start(tiny, tmp_path / "run", 0, "--workers", "2")
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert "tp-eval: 1/2: 2/2 tiny-c: " in errors and "tp-eval: 2/2: 1/1 tiny-b: " in errors
    assert _cases(tmp_path / "run") == {name: value for name, value in whole.items() if name != "run.json"}


def _cases(out: Path) -> dict[str, Any]:
    """Everything but the document of the run, which names where the contestant ran."""
    return {name: value for name, value in result(out).items() if name != "run.json"}
