"""Splits: by hash, close to the shares, independent of other sources."""

from __future__ import annotations

from collections import Counter

from curation.dataset.splits import group_sources, split_of

SHARES = {"train": 90, "validation": 5, "test": 5}


def test_shares_are_met():
    counts = Counter(split_of(f"source {i}", SHARES) for i in range(4000))
    assert abs(counts["train"] / 4000 - 0.9) < 0.02
    assert abs(counts["test"] / 4000 - 0.05) < 0.015 and abs(counts["validation"] / 4000 - 0.05) < 0.015


def test_a_group_keeps_its_split():
    # Other values would move sources between splits of published data.
    assert [split_of(str(i), SHARES) for i in (1, 13, 7)] == ["train", "validation", "test"]
    assert split_of("anything", {"test": 1}) == "test"
    assert split_of("anything", dict(reversed(SHARES.items()))) == split_of("anything", SHARES)
    assert {split_of(str(i), {"train": 1, "test": 0}) for i in range(100)} == {"train"}


def test_sources_with_a_common_person_are_one_group_through_any_chain():
    appearances = [
        ("a", "anna"),
        ("b", "ben"),
        ("b", "anna"),
        ("c", "ben"),
        ("d", "dora"),
        ("e", None),
        ("f", None),
    ]
    found = group_sources(appearances)
    assert found["a"] == found["b"] == found["c"] == "anna"
    assert (found["d"], found["e"], found["f"]) == ("dora", "e", "f")
    assert group_sources(reversed(appearances)) == found


def test_a_person_with_the_name_of_a_source_joins_nothing():
    found = group_sources([("x", "y"), ("y", None), ("z", "y")])
    assert found["x"] == found["z"] == "y" and found["y"] == "y"
    assert group_sources([("y", None)]) == {"y": "y"}
