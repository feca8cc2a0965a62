"""Paired comparisons of the models of a board, and the ranks that follow from them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.analysis.paired import MetricDifference, ScoredRun, Verdict, paired_differences, roles_of
from benchmark.run_check import RunProblem, installed_protocol
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.tables.columns import MetricColumn, column_of
from leaderboard.tables.ranking import rank_ranges

# Pairs of more models than this are compared in the primary metrics alone: 40 models make 780 pairs.
MANY_MODELS = 12
_FEW_MODELS = "fewer than two models are verified."
_REVERSED: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class BoardPairs:
    """Differences of every pair of verified models of a board.

    Attributes:
        entries: the models that were compared with each other.
        primary: ids of the metrics that the protocol names as primary; their p-values are adjusted together.
        why: reason why no pair could be judged, empty where one was.
        found: (baseline, judged) -> metric -> difference, one order of each pair.
        primary_only: True where so many models were compared in the primary metrics alone.
    """

    entries: tuple[BoardEntry, ...]
    primary: tuple[str, ...]
    why: str
    found: Mapping[tuple[BoardEntry, BoardEntry], Mapping[str, MetricDifference]]
    primary_only: bool = False

    def difference(
        self, baseline: BoardEntry, judged: BoardEntry, column: MetricColumn
    ) -> MetricDifference | None:
        """Return how `judged` differs from `baseline`; None where they were not compared in this column."""
        if any(not _has(entry, column) for entry in (baseline, judged)):
            return None
        if (baseline, judged) in self.found:
            return self.found[baseline, judged].get(column.name)
        row = self.found.get((judged, baseline), {}).get(column.name)
        return None if row is None else _reversed(row)

    def ranks(self, column: MetricColumn) -> dict[BoardEntry, tuple[int, int]]:
        """Return the ranges of ranks in one column; empty where nothing can be judged.

        Metrics that the check did not compute again are not ranked.
        """
        if column.direction == "none" or self.why:
            return {}
        measured = [
            entry
            for entry in self.entries
            if _has(entry, column)
            and entry.run.metrics[column.name].state == "ok"
            and column.name not in entry.checked.not_recomputable
        ]
        # A pair has no p-value where one of the two lacks a number on a clip.
        ranked = [
            entry
            for entry in measured
            if any((row := self.difference(other, entry, column)) and row.p is not None for other in measured)
        ]

        def is_better(one: BoardEntry, other: BoardEntry) -> bool:
            row = self.difference(other, one, column)
            return row is not None and row.verdict == "better"

        return rank_ranges(ranked, is_better)


def compare_models(group: BoardGroup) -> BoardPairs:
    """Compare every pair of verified models of a board, clip by clip, as `tp-eval compare` does."""
    entries = tuple(entry for entry in group.models if entry.checked.verified)
    protocol = installed_protocol(group.any_run)
    if len(entries) < 2 or isinstance(protocol, RunProblem):
        why = str(protocol) if isinstance(protocol, RunProblem) else _FEW_MODELS
        return BoardPairs(entries, (), why if len(group.models) > 1 else "", {})
    sides = {entry: ScoredRun.of(entry.checked.folder, entry.run, entry.checked.cases) for entry in entries}
    # The adjustment of p-values is by role, so the primary metrics do not need the others.
    primary_only = len(entries) > MANY_MODELS and bool(protocol.primary)
    found = {}
    for a, b in itertools.combinations(entries, 2):
        names = [
            name
            for name, summary in a.run.metrics.items()
            if name in b.run.metrics and column_of(name, summary) == column_of(name, b.run.metrics[name])
        ]
        roles = roles_of(names, protocol.primary)
        if primary_only:
            roles = {"primary": roles["primary"]}
        rows = paired_differences(sides[a], sides[b], roles, protocol.aggregation)
        found[a, b] = {row.metric: row for row in rows}
    rows = [row for of_pair in found.values() for row in of_pair.values()]
    primary = tuple(dict.fromkeys(row.metric for row in rows if row.role == "primary"))
    return BoardPairs(entries, primary, _why_undecided(rows), found, primary_only)


def _why_undecided(rows: Sequence[MetricDifference]) -> str:
    """Return why no pair has a p-value, empty where one has."""
    if any(row.p is not None for row in rows):
        return ""
    reasons = [row.reason for row in rows if row.difference is not None and row.reason is not None]
    return f"{reasons[0]}." if reasons else "No metric has a number on every clip of two models."


def _has(entry: BoardEntry, column: MetricColumn) -> bool:
    summary = entry.run.metrics.get(column.name)
    return summary is not None and summary.value is not None and column_of(column.name, summary) == column


def _reversed(row: MetricDifference) -> MetricDifference:
    """Return the difference with the other run as the baseline; the test and its interval are symmetric."""
    changes: dict[str, object] = {"a": row.b, "b": row.a, "verdict": _REVERSED.get(row.verdict, row.verdict)}
    if row.difference is not None:
        changes["difference"] = 0.0 - row.difference
    if row.ci95 is not None:
        changes["ci95"] = (0.0 - row.ci95[1], 0.0 - row.ci95[0])
    return row.model_copy(update=changes)
