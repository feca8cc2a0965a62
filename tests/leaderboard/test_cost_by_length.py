"""Cost by clip length, for the models that were generated."""

from __future__ import annotations

from benchmark.run_check import CheckedRun
from leaderboard.cost_by_length import cost_by_length
from leaderboard.groups import group_runs
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


def test_it_stands_on_the_page(page: str) -> None:
    assert "Cost against length" in page and "200 to 399 frames" in page
