"""Splits: by hash, near the shares, the same whatever else is there."""

from __future__ import annotations

from collections import Counter

from curation.dataset.splits import groups, split_of

SHARES = {"train": 90, "validation": 5, "test": 5}


def test_shares_are_met():
    counts = Counter(split_of(f"source {i}", SHARES) for i in range(4000))
    assert abs(counts["train"] / 4000 - 0.9) < 0.02
    assert abs(counts["test"] / 4000 - 0.05) < 0.015 and abs(counts["validation"] / 4000 - 0.05) < 0.015


def test_a_cluster_has_one_split_for_ever():
    # Fixed values: another answer would move sources between splits of published data.
    assert [split_of(str(i), SHARES) for i in (1, 13, 7)] == ["train", "validation", "test"]
    assert split_of("anything", {"test": 1}) == "test"
    assert split_of("anything", dict(reversed(SHARES.items()))) == split_of("anything", SHARES)
    assert {split_of(str(i), {"train": 1, "test": 0}) for i in range(100)} == {"train"}


def test_sources_with_a_common_person_are_one_cluster_through_any_chain():
    seen = [("a", "anna"), ("b", "ben"), ("b", "anna"), ("c", "ben"), ("d", "dora"), ("e", None), ("f", None)]
    found = groups(seen)
    assert found["a"] == found["b"] == found["c"] == "anna"
    assert (found["d"], found["e"], found["f"]) == ("dora", "e", "f")
    assert groups(reversed(seen)) == found


def test_a_person_who_is_called_like_a_source_joins_nothing():
    found = groups([("x", "y"), ("y", None), ("z", "y")])
    assert found["x"] == found["z"] == "y" and found["y"] == "y"
    assert groups([("y", None)]) == {"y": "y"}
