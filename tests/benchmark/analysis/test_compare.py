"""Comparing two runs: closed forms, properties, refusals."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.analysis.compare import ComparisonError, compare, comparison_table, holm, sign_flip_p
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


def test_the_p_of_a_sign_flip_is_a_count() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, -6.0])
    totals = [np.dot(signs, values) for signs in itertools.product((1, -1), repeat=6)]
    expected = np.mean([abs(total) >= abs(values.sum()) for total in totals])
    assert sign_flip_p(values, people(6)) == pytest.approx(expected)
    assert sign_flip_p(np.full(8, 0.25), people(8)) == pytest.approx(2 / 2**8)
    assert sign_flip_p(np.zeros(8), people(8)) == 1.0


def test_clips_of_a_person_flip_together() -> None:
    values = np.random.default_rng(0).normal(1, 1, 24)
    sums = values.reshape(8, 3).sum(axis=1)
    assert sign_flip_p(values, people(8, 3)) == pytest.approx(sign_flip_p(sums, people(8)))


@pytest.mark.parametrize("num_people", [6, 9])
def test_without_a_difference_alpha_is_the_rate_of_false_alarms(num_people: int) -> None:
    generator = np.random.default_rng(num_people)
    clusters = people(num_people, 2)
    found = []
    for _ in range(600):
        shared = np.repeat(generator.standard_cauchy(num_people), 2)
        found.append(sign_flip_p(shared + generator.normal(0, 1, 2 * num_people), clusters))
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.075


def test_holm_is_the_published_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


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
        assert row.p == pytest.approx(2 / 2**8) and row.p_adjusted == pytest.approx(3 * 2 / 2**8)
        assert row.ci95 is not None and row.difference is not None
        assert row.ci95[0] < row.difference < row.ci95[1]
    assert compare(*runs, metrics=["psnr"]).metrics[0].p_adjusted == pytest.approx(2 / 2**8)
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


def test_too_many_metrics_for_so_few_people_are_noted(tmp_path: Path) -> None:
    scores = {name: [1.0] * 6 for name in DIRECTIONS}
    a = write_run(tmp_path / "a", scores, people(6))
    b = write_run(tmp_path / "b", {name: [2.0] * 6 for name in DIRECTIONS}, people(6))
    assert "choose fewer with --metrics" in compare(a, b).notes[0]
    assert compare(a, b, metrics=["psnr"]).notes == []


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
