"""The main table of a board as text: one row per run, one cell per metric, with everything to doubt it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmark.results import MetricSummary, Run
from leaderboard import numbers
from leaderboard.columns import Column, column_of, columns_of
from leaderboard.groups import BoardEntry, BoardGroup
from leaderboard.ranking import rank_ranges, skill


@dataclass
class RowNotes:
    """Footnotes of a table: each text once, numbered from 1."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> int:
        """The number of a footnote with this text."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


@dataclass(frozen=True)
class Cell:
    """One number as text. `order` is what a browser sorts by, empty where there is no number.

    `word` marks a cell that holds a word instead of a number, `note` the number of its footnote (0: none),
    `lead` a value that no other interval touches and that is the best of its column.
    """

    text: str
    order: str = ""
    word: bool = False
    lines: tuple[str, ...] = ()
    rank: str = ""
    lead: bool = False
    note: int = 0


@dataclass(frozen=True)
class BoardRow:
    """One run: metric cells in the order of the columns, then cost and counts."""

    entry: BoardEntry
    badges: tuple[str, ...]
    metrics: tuple[Cell, ...]
    facts: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """The table of a group. `sorted_by` is the place of the column the rows are ordered by, -1 for none."""

    columns: tuple[Column, ...]
    models: tuple[BoardRow, ...]
    controls: tuple[BoardRow, ...]
    notes: tuple[str, ...]
    sorted_by: int


IDENTICAL = "every frame is identical to the real one"
NO_REASON = "the run gives no reason"
FACTS = ("Time", "Device", "Peak memory", "Parameters", "Clips", "Coverage", "Seed")
FACT_UNITS = ("s / frame", "", "", "", "clips \u00b7 clusters \u00b7 frames", "lowest", "")


def board_table(group: BoardGroup) -> Table:
    """The table of a group: models by the first column that all of them have a number in, then controls."""
    columns = columns_of(entry.run for entry in group.entries)
    notes = RowNotes()
    ranks = {column: column_ranks(group, column) for column in columns}
    rows = {entry: _row(entry, columns, ranks, group.frozen, notes) for entry in group.entries}
    by = next((place for place, column in enumerate(columns) if _complete(group, column)), -1)
    models = [rows[entry] for entry in group.models]
    if by >= 0:
        sign = -1 if columns[by].direction == "higher" else 1
        models.sort(key=lambda row: sign * _value(row.entry, columns[by]))
    controls = tuple(rows[entry] for entry in group.controls)
    return Table(tuple(columns), tuple(models), controls, tuple(notes.texts), by if len(models) > 1 else -1)


def summary_of(run: Run, column: Column) -> MetricSummary | None:
    """What a run has in a column; None where it did not measure this version of the metric."""
    summary = run.metrics.get(column.name)
    return summary if summary is not None and column_of(column.name, summary) == column else None


def is_infinite(value: float | None, n_infinite: int, state: str) -> bool:
    """Whether a value is missing because every frame scores infinity."""
    return value is None and n_infinite > 0 and state == "ok"


def score_of(entry: BoardEntry, column: Column, frozen: BoardEntry | None) -> float | None:
    """The skill of an entry in a column of jittering errors, where there is a frozen control to compare."""
    if column.delta is None or frozen is None:
        return None
    own, still = summary_of(entry.run, column), summary_of(frozen.run, column)
    return skill(own.value, still.value) if own is not None and still is not None else None


def _value(entry: BoardEntry, column: Column) -> float:
    summary = summary_of(entry.run, column)
    assert summary is not None and summary.value is not None
    return summary.value


def column_ranks(group: BoardGroup, column: Column) -> dict[BoardEntry, tuple[int, int]]:
    """The ranges of ranks of a group's models in one column; empty where the group is not ranked."""
    if not group.ranked:
        return {}
    summaries = {entry: summary_of(entry.run, column) for entry in group.models}
    return rank_ranges({e: s for e, s in summaries.items() if s is not None}, column.direction)


def _complete(group: BoardGroup, column: Column) -> bool:
    summaries = [summary_of(entry.run, column) for entry in group.models]
    return column.direction != "none" and all(s is not None and s.value is not None for s in summaries)


def _row(
    entry: BoardEntry,
    columns: Sequence[Column],
    ranks: dict[Column, dict[BoardEntry, tuple[int, int]]],
    frozen: BoardEntry | None,
    notes: RowNotes,
) -> BoardRow:
    usual = _counts(entry.run)
    cells = tuple(
        _cell(
            summary_of(entry.run, column),
            ranks[column].get(entry),
            score_of(entry, column, frozen),
            usual,
            notes,
        )
        for column in columns
    )
    return BoardRow(entry, _badges(entry.run), cells, _facts(entry.run, usual))


def _cell(
    summary: MetricSummary | None,
    rank: tuple[int, int] | None,
    against_frozen: float | None,
    usual: tuple[int, int, int],
    notes: RowNotes,
) -> Cell:
    if summary is None:
        return Cell("not measured", word=True)
    remarks = _remarks(summary)
    note = notes.add(" ".join(remarks)) if remarks else 0
    lines = _lines(summary, against_frozen, usual)
    if is_infinite(summary.value, summary.n_infinite, summary.state):
        order = "1e999" if summary.direction == "higher" else "-1e999"
        return Cell(numbers.INFINITE, order=order, lines=lines, note=note)
    if summary.value is None:
        word = summary.state if summary.state != "ok" else "no value"
        return Cell(word, word=True, note=note)
    text = numbers.measured(summary.value, summary.ci95)
    shown = ""
    if rank is not None:
        shown = f"{rank[0]}" if rank[0] == rank[1] else f"{rank[0]}\u2013{rank[1]}"
    return Cell(text, _order(summary.value), False, lines, shown, rank == (1, 1), note)


def verdict(kind: str, reason: str | None, default: str) -> str:
    """A footnote: what kind of value it is, and why; a reason that names the kind is not told twice."""
    text = reason or default
    if not text.casefold().startswith(kind.casefold()):
        text = f"{kind}: {text}"
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _order(value: float) -> str:
    return f"{value:.8g}"


def _remarks(summary: MetricSummary) -> list[str]:
    if is_infinite(summary.value, summary.n_infinite, summary.state):
        return [verdict("infinite", summary.reason, IDENTICAL)]
    remarks = []
    if summary.state != "ok" or summary.value is None:
        remarks.append(verdict(summary.state, summary.reason, NO_REASON))
    elif summary.reason:
        remarks.append(verdict("note", summary.reason, ""))
    if summary.n_infinite:
        of = f"{summary.n_infinite} of {summary.n_frames} frames"
        remarks.append(f"{of} are identical to the real ones; each alone would score infinity.")
    return remarks


def _lines(
    summary: MetricSummary, against_frozen: float | None, usual: tuple[int, int, int]
) -> tuple[str, ...]:
    lines = []
    if summary.ci95 is not None:
        lines.append(numbers.bounds(summary.ci95))
    if against_frozen is not None:
        lines.append(f"skill {numbers.fixed(against_frozen, 2)}")
    if summary.coverage is not None and summary.coverage < 1:
        lines.append(f"coverage {numbers.percent(summary.coverage)}")
    if (summary.n_cases, summary.n_clusters) != usual[:2] and summary.value is not None:
        parts = ((summary.n_cases, "clip"), (summary.n_clusters, "cluster"))
        lines.append(", ".join(numbers.counted(number, noun) for number, noun in parts))
    return tuple(lines)


def _counts(run: Run) -> tuple[int, int, int]:
    """Clips, clusters and frames that most metrics of the run stand on."""
    counts = Counter((s.n_cases, s.n_clusters, s.n_frames) for s in run.metrics.values() if s.n_cases)
    if not counts:
        return (run.dataset.n_cases, 0, 0)
    return min(counts, key=lambda key: (-counts[key], key))


def _badges(run: Run) -> tuple[str, ...]:
    badges = []
    if run.contestant.origin == "predictions":
        badges.append("scored from finished videos")
    if run.contestant.saw_driving_frames:
        badges.append("saw the driving frames")
    if run.limit is not None:
        badges.append(f"limit {numbers.counted(run.limit, 'clip')}")
    if run.max_frames is not None:
        badges.append(f"first {numbers.counted(run.max_frames, 'frame')}")
    if run.status != "complete":
        badges.append(run.status)
    return tuple(badges)


def _facts(run: Run, usual: tuple[int, int, int]) -> tuple[Cell, ...]:
    cost, nothing = run.cost, Cell(numbers.NOTHING)
    pace, device, peak = nothing, nothing, nothing
    if cost is not None:
        device = Cell(cost.device, word=True)
        if cost.seconds_per_frame is not None:
            pace = Cell(numbers.significant(cost.seconds_per_frame, 3), _order(cost.seconds_per_frame))
        shown = (f"{numbers.memory(cost.peak_device_mb)} device",) if cost.peak_device_mb is not None else ()
        peak = Cell(numbers.memory(cost.peak_rss_mb), _order(cost.peak_rss_mb), lines=shown)
    size = run.contestant.parameters
    parameters = Cell(numbers.count(size), str(size)) if size > 0 else nothing
    clips, clusters, frames = usual
    counts = (str(clusters or numbers.NOTHING), f"{frames:,}".replace(",", "\u202f") if frames else "")
    text = " \u00b7 ".join(part for part in (str(clips), *counts) if part)
    shares = [s.coverage for s in run.metrics.values() if s.coverage is not None]
    coverage = Cell(numbers.percent(min(shares)), _order(min(shares))) if shares else nothing
    seed = Cell(str(run.seed), str(run.seed))
    return (pace, device, peak, parameters, Cell(text, str(clips)), coverage, seed)
