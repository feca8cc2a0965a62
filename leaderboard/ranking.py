"""Ranks that claim no more than the intervals do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from benchmark.results import Direction, MetricSummary

_Name = TypeVar("_Name")


def rank_ranges(
    summaries: Mapping[_Name, MetricSummary], direction: Direction
) -> dict[_Name, tuple[int, int]]:
    """Return the best and the worst rank that each contestant can have in one column.

    One contestant is ahead of another only where their 95 % intervals do not touch; contestants whose
    intervals overlap share ranks. A contestant without an interval, or with an incomplete value, has no rank.
    Where fewer than two have an interval, nobody has a rank.
    """
    if direction == "none":
        return {}
    sign = 1 if direction == "higher" else -1
    intervals = {}
    for name, summary in summaries.items():
        if summary.state == "ok" and summary.value is not None and summary.ci95 is not None:
            intervals[name] = sorted(sign * bound for bound in summary.ci95)
    if len(intervals) < 2:
        return {}
    ranges = {}
    for name, (low, high) in intervals.items():
        ahead = sum(other[0] > high for other in intervals.values())
        behind = sum(other[1] < low for other in intervals.values())
        ranges[name] = (1 + ahead, len(intervals) - behind)
    return ranges


def skill(value: float | None, frozen: float | None) -> float | None:
    """Return 1 - TJE / TJE of the frozen first frame: 1 is perfect, 0 is no better than a still picture."""
    if value is None or frozen is None or frozen <= 0:
        return None
    return 1 - value / frozen
