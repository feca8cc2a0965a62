"""Scores by the length of the clips, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.analysis.statistics import FEW_PERSONS, intervals
from benchmark.results import CaseResult
from benchmark.run_check import RunProblem, installed_protocol
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.tables.columns import MetricColumn
from leaderboard.tables.cost_by_length import class_title, length_class
from leaderboard.text import number_format


@dataclass(frozen=True)
class LengthTable:
    """One metric: titles of the length classes, and a row of cells (value, interval) for each contestant."""

    column: MetricColumn
    titles: tuple[str, ...]
    rows: tuple[tuple[BoardEntry, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class LengthTables:
    """Tables of the headline metrics; `few` names the classes with too few persons to judge."""

    tables: tuple[LengthTable, ...]
    few: tuple[str, ...]


def quality_by_length(group: BoardGroup, columns: Sequence[MetricColumn]) -> LengthTables | None:
    """Tabulate the headline metrics by clip length; None where all clips are of one length class."""
    cases = {entry: _by_class(entry.checked.cases.values()) for entry in group.entries}
    ends = sorted({end for classes in cases.values() for end in classes})
    shown = [column for column in columns if column.headline]
    if len(ends) < 2 or not shown:
        return None
    persons = {
        end: len({case.cluster for classes in cases.values() for case in classes.get(end, ())})
        for end in ends
    }
    titles = tuple(
        f"{class_title(end)} frames, {number_format.counted(persons[end], 'person')}" for end in ends
    )
    cells = {
        (entry, end): _cells(group, classes.get(end, []), shown)
        for entry, classes in cases.items()
        for end in ends
    }
    tables = tuple(
        LengthTable(
            column,
            titles,
            tuple((entry, tuple(cells[entry, end][place] for end in ends)) for entry in group.entries),
        )
        for place, column in enumerate(shown)
    )
    few = tuple(class_title(end) for end in ends if persons[end] < FEW_PERSONS)
    return LengthTables(tables, few)


def _by_class(cases: Iterable[CaseResult]) -> dict[int, list[CaseResult]]:
    classes: dict[int, list[CaseResult]] = {}
    for case in cases:
        classes.setdefault(length_class(case.num_frames), []).append(case)
    return classes


def _cells(
    group: BoardGroup, cases: Sequence[CaseResult], columns: Sequence[MetricColumn]
) -> list[tuple[str, str]]:
    """Format mean and interval over the cases of one contestant in one class, for each column."""
    scores = [[case.metrics.get(column.name) for column in columns] for case in cases]
    # None becomes NaN.
    table = [[None if score is None else score.value for score in row] for row in scores]
    values = np.array(table, dtype=np.float64).reshape(len(cases), len(columns))
    known = np.isfinite(values).any(axis=0) if len(cases) else np.zeros(len(columns), bool)
    protocol = installed_protocol(group.any_run)
    bounds: list[tuple[float, float] | None] = [None] * len(columns)
    if known.any() and not isinstance(protocol, RunProblem):
        bounds = intervals(values, [case.cluster for case in cases], protocol.aggregation)
    cells = []
    for place in range(len(columns)):
        if not known[place]:
            cells.append((number_format.NOTHING, ""))
            continue
        interval = bounds[place]
        mean = float(np.nanmean(values[:, place]))
        text = number_format.bounds(interval) if interval is not None else ""
        cells.append((number_format.measured(mean, interval), text))
    return cells
