"""Ranks that claim no more than the tests do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Name = TypeVar("_Name")


def rank_ranges(
    names: Sequence[_Name], is_better: Callable[[_Name, _Name], bool]
) -> dict[_Name, tuple[int, int]]:
    """Return the best and the worst rank that each contestant can have.

    Args:
        names: contestants that were all compared with each other.
        is_better: `is_better(a, b)` is true where a test shows that `a` is better than `b`.

    Returns:
        Contestants without a shown difference share ranks. Fewer than two contestants have no ranks.
    """
    if len(names) < 2:
        return {}
    ranges = {}
    for name in names:
        others = [other for other in names if other is not name]
        ahead = sum(is_better(other, name) for other in others)
        behind = sum(is_better(name, other) for other in others)
        ranges[name] = (1 + ahead, len(names) - behind)
    return ranges


def skill(value: float | None, frozen: float | None) -> float | None:
    """Return 1 - TJE / TJE of the frozen first frame: 1 is perfect, 0 is no better than a still picture."""
    if value is None or frozen is None or frozen <= 0:
        return None
    return 1 - value / frozen
