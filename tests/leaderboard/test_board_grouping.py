"""Groups of runs, ranks, and the formatting of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.results import Run
from leaderboard.entries.groups import BoardGroup, group_runs
from leaderboard.tables.board_table import board_table
from leaderboard.tables.columns import columns_of
from leaderboard.tables.pairs import compare_models
from leaderboard.tables.ranking import rank_ranges, skill
from leaderboard.text import number_format
from tests.leaderboard.run_documents import LOOKS, checked, make_case, make_run


def groups_of(*runs: Run) -> list[BoardGroup]:
    return group_runs([checked(run) for run in runs])


def test_one_set_of_rules_and_clips_is_one_group():
    (group,) = groups_of(*(make_run(name) for name in LOOKS))
    assert group.ranked and group.why == ""
    assert [entry.label for entry in group.models] == ["open-loop", "talkingpose"]
    assert [entry.label for entry in group.controls] == ["ground-truth", "reencode", "frozen"]


def test_other_rules_are_another_group():
    base = make_run()
    other = base.model_copy(update={"protocol": base.protocol.model_copy(update={"sha256": "f" * 64})})
    groups = groups_of(base, other)
    assert [group.ranked for group in groups] == [True, True]
    assert "another protocol hash" in groups[1].why


def test_other_clips_are_another_group():
    base = make_run()
    other = base.model_copy(update={"dataset": base.dataset.model_copy(update={"cases_sha256": "f" * 64})})
    assert "other clips" in groups_of(base, other)[1].why


def test_an_older_version_is_superseded():
    base = make_run()
    newer = base.model_copy(
        update={"protocol": base.protocol.model_copy(update={"version": 2, "sha256": "e"})}
    )
    groups = groups_of(base, newer)
    assert groups[0].any_run.protocol.version == 2
    assert "Superseded: version 2" in groups[1].why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"limit": 2}, "the first 2 clips"),
        ({"max_frames": 120}, "the first 120 frames"),
        ({"comparable": False}, "not comparable"),
        ({"status": "partial"}, "not complete (status partial)"),
    ],
)
def test_incomplete_runs_are_not_ranked(change: dict, why: str):
    groups = groups_of(make_run("open-loop", **change), make_run())
    assert [group.ranked for group in groups] == [True, False]
    assert why in groups[1].why
    assert all(
        not cell.rank
        for row in board_table(groups[1], compare_models(groups[1])).models
        for cell in row.metrics
    )


def test_runs_of_one_name_are_told_apart():
    (group,) = groups_of(make_run(), make_run(seed=1), make_run(seed=2))
    assert [entry.label for entry in group.models] == [f"talkingpose (seed {seed})" for seed in range(3)]


def test_contestants_without_a_shown_difference_share_their_ranks():
    better = {("a", "c"), ("a", "d"), ("b", "d"), ("c", "d")}
    ranks = rank_ranges(["a", "b", "c", "d"], lambda one, other: (one, other) in better)
    assert ranks == {"a": (1, 2), "b": (1, 3), "c": (2, 3), "d": (4, 4)}
    assert rank_ranges(["a"], lambda one, other: True) == {}


def with_cases(*runs: Run) -> BoardGroup:
    """Group runs that have the scores of their clips."""
    (group,) = group_runs([checked(run, [make_case(run, i) for i in range(len(run.cases))]) for run in runs])
    return group


def test_fewer_than_six_persons_have_no_ranks():
    pairs = compare_models(with_cases(*(make_run(name, n_cases=5) for name in LOOKS)))
    assert pairs.why == "5 persons, at least 6 are needed."
    assert all(not pairs.ranks(column) for column in columns_of([make_run()]))


def test_a_run_with_a_missing_number_has_no_rank_and_the_others_do():
    runs = [make_run(f"model {n}", look=(20 + 2 * n, 0.7, 2.0, 0.5, 0.0)) for n in range(3)]
    group = with_cases(*runs)
    case = group.models[0].checked.cases["clip00"]
    none = case.metrics["psnr"].model_copy(update={"value": None, "state": "failed", "reason": "broken"})
    group.models[0].checked.cases["clip00"] = case.model_copy(
        update={"metrics": case.metrics | {"psnr": none}}
    )
    (psnr, *_) = columns_of(runs)
    assert set(compare_models(group).ranks(psnr)) == set(group.models[1:])


def test_controls_are_never_ranked_and_only_a_clear_lead_is_bold():
    group = with_cases(*(make_run(name) for name in LOOKS))
    table = board_table(group, compare_models(group))
    assert all(not cell.rank for row in table.controls for cell in row.metrics)
    psnr, _, tje = table.models[0].metrics[:3]
    assert (psnr.rank, psnr.lead, tje.rank, tje.lead) == ("1\u20132", False, "1", True)
    assert table.controls[0].metrics[0].text == "∞"
    assert "skill 1.00" in table.controls[0].metrics[2].lines
    assert "skill 0.00" in table.controls[2].metrics[2].lines


def test_skill_needs_motion_to_compare_with():
    assert skill(1.0, 4.0) == 0.75
    assert skill(5.0, 4.0) == -0.25
    assert skill(1.0, 0.0) is None and skill(None, 4.0) is None and skill(1.0, None) is None


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (21.9234, (20.8, 23.2), "21.9"),
        (0.79012, (0.774, 0.809), "0.790"),
        (1234.5, (1000.0, 1500.0), "1234"),
        (1.0, (1.0, 1.0), "1.000"),
        (0.0, None, "0"),
        (-0.00001, (-1.0, 1.0), "0.0"),
        (-1.25, (-1.5, -1.0), "\u22121.25"),
        (5.123456, None, "5.123"),
        (1.5e-7, None, "1.500e\u22127"),
    ],
)
def test_numbers_are_rounded_by_their_intervals(value: float, interval: tuple | None, text: str):
    assert number_format.measured(value, interval) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_has_a_text(value: float):
    text = number_format.significant(value)
    assert "n" not in text and "-" not in text and len(text) < 16


def test_shares_do_not_round_up_to_everything():
    assert number_format.percent(1.0) == "100\u202f%"
    assert number_format.percent(0.99999) == "> 99.9\u202f%"
    assert number_format.percent(0.8333) == "83.3\u202f%"
