"""Ranks and pairs of the board are those of `tp-eval compare`."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import pytest

from benchmark import compare
from benchmark.analysis.paired import MetricDifference
from benchmark.results import read_case, read_run, write_document
from leaderboard.entries.groups import BoardEntry, BoardGroup, group_runs
from leaderboard.tables.columns import columns_of
from leaderboard.tables.pairs import compare_models
from tests.leaderboard.html_outline import Outline
from tests.leaderboard.run_documents import make_run, trusted, write_run

MODELS = {"a": (21.9, 0.8, 1.6, 0.5, 0.0), "b": (20.4, 0.79, 2.6, 0.6, 0.0), "c": (21.8, 0.6, 1.7, 0.5, 0.0)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three models over seven persons, whose numbers are the means of their cases."""
    root = tmp_path_factory.mktemp("pairs")
    folders = [
        write_run(root / name, make_run(f"model {name}" + "x" * n, look=look, n_cases=7))
        for n, (name, look) in enumerate(MODELS.items())
    ]
    for folder in folders:
        run = read_run(folder)
        cases = [read_case(path) for path in sorted((folder / "cases").glob("*.json"))]
        means = {}
        for name, summary in run.metrics.items():
            values = [case.metrics[name].value for case in cases]
            mean = None if None in values else sum(values) / len(values)
            means[name] = summary.model_copy(update={"value": mean})
        write_document(run.model_copy(update={"metrics": means}), folder / "run.json")
    return folders


@pytest.fixture(scope="module")
def group(folders: list[Path]) -> BoardGroup:
    (group,) = group_runs(trusted(folders)[0])
    return group


Compared = dict[tuple[BoardEntry, BoardEntry], dict[str, MetricDifference]]


@pytest.fixture(scope="module")
def compared(group: BoardGroup) -> Compared:
    """Results of `tp-eval compare` for every pair, in both orders."""
    return {
        (a, b): {row.metric: row for row in compare(a.checked.folder, b.checked.folder).metrics}
        for a, b in itertools.permutations(group.models, 2)
    }


def test_the_pairs_of_the_board_are_those_of_compare(group: BoardGroup, compared: Compared):
    pairs = compare_models(group)
    verdicts = set()
    for (a, b), rows in compared.items():
        for column in columns_of([a.run]):
            row, shown = rows[column.name], pairs.difference(a, b, column)
            if row.difference is None:
                assert shown is None or shown.difference is None
                continue
            assert shown is not None
            assert (shown.verdict, shown.role, shown.n_clusters) == (row.verdict, row.role, row.n_clusters)
            for name in ("difference", "p", "p_adjusted", "ci95"):
                assert getattr(shown, name) == pytest.approx(getattr(row, name), rel=1e-9, abs=1e-12)
            verdicts.add(row.verdict)
    assert verdicts >= {"better", "worse", "no difference shown"}


def test_the_ranks_of_the_board_follow_from_compare(group: BoardGroup, compared: Compared):
    pairs = compare_models(group)
    for name in ("psnr", "ssim", "tje@2"):
        (column,) = (column for column in columns_of([group.any_run]) if column.name == name)
        beats = [(b, a) for (a, b), rows in compared.items() if rows[name].verdict == "better"]
        assert pairs.ranks(column) == {
            entry: (
                1 + sum(beaten is entry for _, beaten in beats),
                len(group.models) - sum(winner is entry for winner, _ in beats),
            )
            for entry in group.models
        }


def test_many_models_are_compared_in_the_primary_metrics_alone(
    group: BoardGroup, monkeypatch: pytest.MonkeyPatch
):
    whole = compare_models(group)
    monkeypatch.setattr("leaderboard.tables.pairs.MANY_MODELS", 2)
    pairs = compare_models(group)
    assert pairs.primary_only and not whole.primary_only
    assert pairs.found == {
        pair: {name: row for name, row in rows.items() if row.role == "primary"}
        for pair, rows in whole.found.items()
    }
    assert set(pairs.primary) < set(group.any_run.metrics)


def test_a_matrix_of_pairs_stands_on_its_own_page(site: Path):
    page = (site / "pages/b1-pairs.html").read_text("utf-8")
    outline = Outline(page)
    assert outline.faults == []
    assert "TJE@2" in page and 'class="better"' in page and 'class="worse"' in page
    rows = list(csv.DictReader((site / "pairs.csv").open(newline="")))
    row = next(row for row in rows if row["metric"] == "tje@2")
    assert {row["baseline"], row["judged"]} == {"open-loop", "talkingpose"}
    assert float(row["p_adjusted"]) < 0.05 and row["verdict"] == "better"
    assert "pages/b1-pairs.html" in (site / "index.html").read_text("utf-8")
