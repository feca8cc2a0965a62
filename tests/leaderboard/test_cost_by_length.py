"""Cost and quality by clip length."""

from __future__ import annotations

import pytest

from benchmark.run_check import CheckedRun
from leaderboard.entries.groups import group_runs
from leaderboard.tables.columns import columns_of
from leaderboard.tables.cost_by_length import cost_by_length
from leaderboard.tables.quality_by_length import quality_by_length
from tests.leaderboard.run_documents import checked, make_case, make_run


def loaded(name: str, lengths: list[int], *, measured: bool = True) -> CheckedRun:
    """A run that took 2 s for every clip, whatever its length, and 1 MB more for each further clip."""
    run = make_run(name, n_cases=len(lengths))
    cases = [make_case(run, number).model_copy(update={"num_frames": n}) for number, n in enumerate(lengths)]
    if not measured:
        cases = [case.model_copy(update={"cost": None}) for case in cases]
    return checked(run, cases)


def test_classes_double_and_count_all_frames() -> None:
    (group,) = group_runs(
        [loaded("talkingpose", [101, 199, 200, 1600]), loaded("frozen", [101, 199, 200, 1600])]
    )
    table = cost_by_length(group)
    assert table is not None and table.columns == ("below 200", "200 to 399", "1600 to 3199")
    ((entry, cells),) = table.rows
    assert entry.run.contestant.name == "talkingpose"
    assert [cell.replace("\u202f", " ") for cell in cells] == [
        "0.0133 s, 701 MB",
        "0.0100 s, 702 MB",
        "0.00125 s, 703 MB",
    ]


def test_older_cases_give_no_table() -> None:
    (group,) = group_runs([loaded("talkingpose", [101, 300], measured=False)])
    assert cost_by_length(group) is None


def test_quality_by_length_has_intervals_and_names_classes_of_few_persons() -> None:
    lengths = [101] * 6 + [1600]
    (group,) = group_runs([loaded("talkingpose", lengths), loaded("frozen", lengths)])
    found = quality_by_length(group, columns_of([group.any_run]))
    assert found is not None and found.few == ("1600 to 3199",)
    table = found.tables[0]
    assert table.column.name == "psnr"
    assert table.titles == ("below 200 frames, 6 persons", "1600 to 3199 frames, 1 person")
    entry, (many, one) = table.rows[0]
    values = [entry.checked.cases[f"clip0{number}"].metrics["psnr"].value or 0.0 for number in range(6)]
    assert float(many[0]) == pytest.approx(sum(values) / 6, rel=0.01)
    assert many[1].startswith("[") and one[1] == ""


def test_clips_of_one_length_give_no_table() -> None:
    (group,) = group_runs([loaded("talkingpose", [101, 120])])
    assert quality_by_length(group, columns_of([group.any_run])) is None


def test_it_stands_on_the_page(page: str) -> None:
    assert "Cost against length" in page and "200 to 399 frames" in page
