"""Selection of clips, and refusals before anything is written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import load_protocol
from benchmark.runner.plan import RunPlan, batches, plan_run, planning_rules
from talkingpose.data.clips import ClipDataset
from talkingpose.data.schema import DatasetError
from talkingpose.io.errors import UserError
from talkingpose.media import MediaError
from tests.benchmark.drawn_clips import Drawn, row, video_bytes, write_dataset

Rows = dict[str, dict[str, Any]]


def plan(folder: Path, **options: Any) -> RunPlan:
    given = {"split": None, "limit": None, "max_frames": None, "seed": 0} | options
    return plan_run(ClipDataset(str(folder)), load_protocol("tp-long@1"), **given)


def test_short_clips_are_left_out_and_listed(dataset: Path) -> None:
    found = plan(dataset)
    assert [case.clip.clip_id for case in found.cases] == ["clip-a", "clip-b", "clip-c"]
    assert [(entry.kind, entry.clip_id) for entry in found.audit] == [("too-short", "clip-short")]
    assert found.num_frames == 110 + 130 + 121


def test_test_is_the_default_split(tmp_path: Path, rows: Rows) -> None:
    splits = {"train": [rows["clip-a"]], "test": [rows["clip-b"]]}
    assert plan(write_dataset(tmp_path / "set", splits)).split == "test"


def test_all_splits_together_where_test_has_no_usable_clip(tmp_path: Path, rows: Rows) -> None:
    splits = {"train": [rows["clip-b"]], "validation": [rows["clip-a"]], "test": [rows["clip-short"]]}
    found = plan(write_dataset(tmp_path / "set", splits))
    assert found.split == "train+validation+test"
    assert [case.clip.clip_id for case in found.cases] == ["clip-a", "clip-b"]


def test_limits(dataset: Path) -> None:
    found = plan(dataset, limit=2, max_frames=120)
    assert [case.num_frames for case in found.cases] == [110, 120]
    assert {"limit", "max-frames"} < {entry.kind for entry in found.audit}


def test_a_smoke_run_takes_short_clips_and_few_frames(dataset: Path) -> None:
    protocol = load_protocol("tp-long@1")
    rules = planning_rules(protocol, 24)
    found = plan_run(ClipDataset(str(dataset)), rules, split=None, limit=None, max_frames=24, seed=0)
    assert {case.num_frames for case in found.cases} == {24}
    assert "clip-short" in {case.clip.clip_id for case in found.cases}
    assert "max-frames" in {entry.kind for entry in found.audit}
    assert planning_rules(protocol, None) is protocol and planning_rules(protocol, 120) is protocol


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": -1}, {"max_frames": 100}, {"split": "val"}])
def test_impossible_choices(dataset: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        plan(dataset, **options)


def test_no_admitted_clip(tmp_path: Path, rows: Rows) -> None:
    with pytest.raises(EvaluationError, match="none of 1 clips"):
        plan(write_dataset(tmp_path / "set", {"test": [rows["clip-short"]]}))


def test_a_clip_of_another_size_is_scaled_and_listed(tmp_path: Path) -> None:
    wide = Drawn("wide", "anna", Fraction(25), 101, (600, 336))
    found = plan(write_dataset(tmp_path / "set", {"test": [row(wide, video_bytes(wide, tmp_path))]}))
    assert [(case.width, case.height) for case in found.cases] == [(512, 288)]
    assert [entry.kind for entry in found.audit] == ["scaled"]
    assert "600x336 to 512x288, bicubic" in found.audit[0].message


def test_a_clip_in_two_splits(tmp_path: Path, rows: Rows) -> None:
    splits = {"train": [rows["clip-a"]], "validation": [rows["clip-a"]]}
    with pytest.raises(DatasetError, match="two splits"):
        plan(write_dataset(tmp_path / "set", splits))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"video": {"bytes": b"no video at all", "path": "x.mp4"}, "sha256": None}, MediaError),
        ({"video": {"bytes": None, "path": __file__}}, DatasetError),
        ({"sha256": "0" * 64}, DatasetError),
        ({"width": 136}, DatasetError),
    ],
    ids=["unreadable", "path only", "other file", "other size"],
)
def test_a_row_that_is_not_its_video(
    tmp_path: Path, rows: Rows, change: dict[str, Any], error: type[Exception]
) -> None:
    folder = write_dataset(tmp_path / "set", {"test": [rows["clip-a"] | change]})
    with pytest.raises(error, match="clip-a"):
        plan(folder)


def test_the_seed_of_a_case_depends_on_its_clip_alone(dataset: Path) -> None:
    all_of_them = {case.clip.clip_id: case.seed for case in plan(dataset).cases}
    assert all(all_of_them[c.clip.clip_id] == c.seed for c in plan(dataset, limit=1).cases)
    assert len(set(all_of_them.values())) == 3
    assert all(all_of_them[c.clip.clip_id] != c.seed for c in plan(dataset, seed=1).cases)


def test_a_batch_has_one_frame_size(tmp_path: Path, rows: Rows) -> None:
    wide = Drawn("clip-bb", "anna", Fraction(25), 101, (160, 96))
    splits = {"test": [*rows.values(), row(wide, video_bytes(wide, tmp_path))]}
    cases = plan(write_dataset(tmp_path / "set", splits)).cases
    groups = [[case.clip.clip_id for case in batch] for batch in batches(cases, 2)]
    assert groups == [["clip-a", "clip-b"], ["clip-c"], ["clip-bb"]]
