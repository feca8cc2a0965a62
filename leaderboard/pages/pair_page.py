"""Page of the paired comparisons: one matrix of contestants per metric."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.analysis.paired import MetricDifference
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.pages.site_page import SitePage, render_site_page
from leaderboard.tables.columns import MetricColumn, columns_of
from leaderboard.tables.pairs import BoardPairs
from leaderboard.text import number_format

_MARKS = {"better": "\u25b2", "worse": "\u25bc"}


@dataclass(frozen=True)
class MatrixCell:
    """Difference of the row's contestant from the column's, as text; empty where they were not compared."""

    text: str = ""
    interval: str = ""
    mark: str = ""
    verdict: str = ""
    title: str = ""


@dataclass(frozen=True)
class PairMatrix:
    """One metric: rows and columns are the entries, in the same order. `basis` names clips and persons."""

    column: MetricColumn
    primary: bool
    basis: str
    entries: tuple[BoardEntry, ...]
    rows: tuple[tuple[BoardEntry, tuple[MatrixCell, ...]], ...]


def pair_page_name(group: BoardGroup) -> str:
    """Return the file name of the page of a board's pairs."""
    return f"b{group.number}-pairs.html"


def pair_matrices(group: BoardGroup, pairs: BoardPairs) -> list[PairMatrix]:
    """Build the matrices of a board, primary metrics first; empty for fewer than two verified models."""
    if len(pairs.entries) < 2:
        return []
    columns = columns_of(entry.run for entry in pairs.entries)
    order = {name: place for place, name in enumerate(pairs.primary)}
    columns.sort(key=lambda column: order.get(column.name, len(order)))
    return [table for column in columns if (table := _matrix(column, pairs)) is not None]


def render_pair_page(site_title: str, group: BoardGroup, pairs: BoardPairs) -> SitePage | None:
    """Render the page; None for a board without a pair."""
    matrices = pair_matrices(group, pairs)
    if not matrices:
        return None
    return render_site_page(
        "pairs.html.j2",
        pair_page_name(group),
        site_title,
        group,
        heading="Who beats whom",
        matrices=matrices,
        why=pairs.why,
    )


def _matrix(column: MetricColumn, pairs: BoardPairs) -> PairMatrix | None:
    table = {
        (row, other): pairs.difference(other, row, column)
        for row in pairs.entries
        for other in pairs.entries
        if row is not other
    }
    known = [found for found in table.values() if found is not None and found.difference is not None]
    if not known:
        return None
    counts = ((known[0].n_cases, "clip"), (known[0].n_clusters, "person"))
    rows = tuple(
        (row, tuple(_cell(table.get((row, other)), row is other) for other in pairs.entries))
        for row in pairs.entries
    )
    return PairMatrix(
        column,
        known[0].role == "primary",
        ", ".join(number_format.counted(*count) for count in counts),
        pairs.entries,
        rows,
    )


def _cell(row: MetricDifference | None, same: bool) -> MatrixCell:
    if row is None or row.difference is None:
        return MatrixCell("" if same else number_format.NOTHING)
    value = number_format.measured(row.difference, row.ci95)
    interval = number_format.bounds(row.ci95) if row.ci95 is not None else ""
    p = f", adjusted p {number_format.significant(row.p_adjusted, 2)}" if row.p_adjusted is not None else ""
    return MatrixCell(
        f"+{value}" if row.difference > 0 else value,
        interval,
        _MARKS.get(row.verdict, ""),
        row.verdict if row.verdict in _MARKS else "",
        f"{row.verdict}{p}",
    )
