"""Comparing two runs: closed forms, properties, refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark.analysis.compare import ComparisonError, compare, comparison_table
from benchmark.cli.app import app
from benchmark.protocols.protocol import load_protocol
from benchmark.results import CaseResult, CaseScore, MetricSummary, ResultError, Run, write_document

PROTOCOL = load_protocol("tp-long@1")
DIRECTIONS = {"psnr": "higher", "tje@2": "lower", "motion": "none"}


def mean(values: Sequence[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def write_run(folder: Path, scores: Mapping[str, Sequence[float | None]], people: Sequence[str],
              **changes: Any) -> Path:  # fmt: skip
    """A run with one clip for each of `people`; `scores` are those of the clips, for each metric."""
    ids = [f"clip-{index:02}" for index in range(len(people))]
    (folder / "cases").mkdir(parents=True)
    for index, clip_id in enumerate(ids):
        case = CaseResult(
            key="k", clip_id=clip_id, split="test", cluster=people[index], seed=0, num_frames=110, width=64,
            height=64, fps="25", frames_sha256="0", generation_s=1, scoring_s=1,
            metrics={name: CaseScore(value=values[index], n_frames=110, state="ok",
                                     reason=None if values[index] is not None else "infinite")
                     for name, values in scores.items()},
        )  # fmt: skip
        write_document(case, folder / f"cases/{clip_id}.json")
    summaries = {
        name: MetricSummary(value=mean(scores[name]), version=1, unit="dB", direction=DIRECTIONS[name],
                            aggregation="mean over clips", n_cases=len(ids), n_clusters=len(set(people)),
                            n_frames=110, state="ok")
        for name in scores
    }  # fmt: skip
    run = Run.model_validate({
        "schema": "talkingpose.run/1", "status": "complete", "protocol": PROTOCOL.reference_of_run(),
        "dataset": {"location": "d", "revision": None, "split": "test", "cases_sha256": "c", "n_cases": 1},
        "contestant": {"name": folder.name, "revision": "1"}, "seed": 0, "comparable": True,
        "command": "tp-eval", "env": {}, "cases": ids, "metrics": summaries,
    } | changes)  # fmt: skip
    write_document(run, folder / "run.json")
    return folder


def people(number: int, clips: int = 1) -> list[str]:
    return [f"person {index}" for index in range(number) for _ in range(clips)]


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """B has more PSNR (better), more TJE (worse), less motion (neither)."""
    generator = np.random.default_rng(0)
    base = generator.normal(20, 5, 16)
    step = generator.normal(1, 0.1, 16)
    scores = {"psnr": base, "tje@2": base, "motion": base}
    changed = {"psnr": base + step, "tje@2": base + step, "motion": base - step}
    return write_run(tmp_path / "a", scores, people(8, 2)), write_run(tmp_path / "b", changed, people(8, 2))


def test_the_verdict_follows_the_direction_of_the_metric(runs: tuple[Path, Path]) -> None:
    found = compare(*runs)
    assert {row.metric: row.verdict for row in found.metrics} == {
        "psnr": "better", "tje@2": "worse", "motion": "different",
    }  # fmt: skip
    assert found.regressions == ["tje@2"]
    for row in found.metrics:
        # All three metrics change by the same amounts: adjusting for them costs nothing.
        assert row.p == row.p_adjusted == pytest.approx(2 / 2**8)
        assert row.ci95 is not None and row.difference is not None
        assert row.ci95[0] < row.difference < row.ci95[1]
    assert {row.metric: row.role for row in found.metrics} == {
        "psnr": "primary", "tje@2": "primary", "motion": "secondary",
    }  # fmt: skip
    assert [row.metric for row in compare(*runs, metrics=["tje"]).metrics] == ["tje@2"]
    assert "B is" in comparison_table(found) and "worse" in comparison_table(found)


def test_the_other_way_round_it_is_the_opposite(runs: tuple[Path, Path]) -> None:
    there, back = compare(*runs), compare(*reversed(runs))
    for one, other in zip(there.metrics, back.metrics, strict=True):
        assert one.difference == -(other.difference or 0) and one.p == other.p
        assert one.ci95 is not None and other.ci95 is not None
        assert one.ci95 == pytest.approx((-other.ci95[1], -other.ci95[0]), rel=1e-12)
    assert back.regressions == ["psnr"]


def test_the_order_of_clips_and_metrics_does_not_matter(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    before = {row.metric: row for row in compare(*runs).metrics}
    for folder in runs:
        document = json.loads((folder / "run.json").read_text())
        document["cases"].reverse()
        document["metrics"] = dict(reversed(document["metrics"].items()))
        (folder / "run.json").write_text(json.dumps(document))
    assert {row.metric: row for row in compare(*runs).metrics} == before


def test_five_people_are_not_judged(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"psnr": [1.0] * 10}, people(5, 2))
    b = write_run(tmp_path / "b", {"psnr": [9.0, 8.0] * 5}, people(5, 2))
    (row,) = compare(a, b).metrics
    assert (row.verdict, row.p, row.p_adjusted) == ("too few clusters to judge", None, None)
    assert row.difference == 7.5 and row.ci95 is not None
    assert "too few clusters to judge" in comparison_table(compare(a, b))


def test_a_comparison_that_cannot_decide_says_so_first(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"psnr": [1.0] * 5}, people(5))
    b = write_run(tmp_path / "b", {"psnr": [-19.0] * 5}, people(5))
    found = compare(a, b)
    assert not found.decidable and "5 persons" in found.notes[0]
    assert comparison_table(found).splitlines()[0] == found.notes[0]
    result = CliRunner().invoke(app, ["compare", str(a), str(b), "--fail-on-regression"])
    assert isinstance(result.exception, ComparisonError)
    assert compare(*[write_run(tmp_path / n, {"psnr": [1.0] * 6}, people(6)) for n in "cd"]).decidable


def test_ten_persons_and_thirty_metrics_can_show_a_difference(tmp_path: Path) -> None:
    """Holm's correction could not: its smallest p-value was 30 x 2 / 2^10 = 0.059."""
    generator = np.random.default_rng(0)
    base = {f"tje@{index}": generator.normal(10, 1, 10) for index in range(30)}
    worse = {name: values + generator.normal(2, 0.5, 10) for name, values in base.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.benchmark.analysis.test_compare.DIRECTIONS", dict.fromkeys(base, "lower"))
        runs = write_run(tmp_path / "a", base, people(10)), write_run(tmp_path / "b", worse, people(10))
    assert len(compare(*runs).regressions) == 30


def test_a_metric_without_a_number_on_every_clip_is_not_compared(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"psnr": [1.0] * 5 + [None], "tje@2": [1.0] * 6}, people(6))
    b = write_run(tmp_path / "b", {"psnr": [1.0] * 6, "tje@2": [1.0] * 6}, people(6))
    psnr, tje = compare(a, b).metrics
    assert psnr.verdict == "unknown" and psnr.difference is None and "clip-05: infinite" in str(psnr.reason)
    assert (tje.verdict, tje.p_adjusted) == ("no difference shown", 1.0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"protocol": {"id": "tp-long", "version": 1, "sha256": "other"}}, "under different rules"),
        ({"cases": ["clip-00"]}, "clip-01 and 4 more scored in"),
        ({"max_frames": 101}, "--max-frames"),
        ({"status": "running"}, "not finished"),
        ({"cases": []}, "no clip of the run was scored"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    a = write_run(tmp_path / "a", {"psnr": [1.0] * 6}, people(6))
    b = write_run(tmp_path / "b", {"psnr": [1.0] * 6}, people(6), **changes)
    with pytest.raises(ComparisonError, match=says):
        compare(a, b)


def test_a_run_whose_cases_were_changed_is_refused(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    path = runs[1] / "cases/clip-03.json"
    document = json.loads(path.read_text())
    document["metrics"]["psnr"]["value"] += 1
    path.write_text(json.dumps(document))
    with pytest.raises(ComparisonError, match="the run was changed"):
        compare(*runs)


def test_other_people_or_metrics_or_folders_are_refused(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"psnr": [1.0] * 6}, people(6))
    b = write_run(tmp_path / "b", {"psnr": [1.0] * 6}, people(3, 2))
    with pytest.raises(ComparisonError, match="clip-01 differs in cluster"):
        compare(a, b)
    with pytest.raises(ComparisonError, match="--metrics fid"):
        compare(a, a, metrics=["fid"])
    with pytest.raises(ComparisonError, match="--alpha"):
        compare(a, a, alpha=5)
    with pytest.raises(ResultError):
        compare(a, tmp_path / "none")
