"""Main table of a board as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.analysis.paired import MetricDifference
from benchmark.results import MetricSummary, Run
from benchmark.run_check import CheckedRun
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.tables.columns import MetricColumn, column_of, columns_of
from leaderboard.tables.pairs import BoardPairs
from leaderboard.tables.ranking import skill
from leaderboard.text import number_format


@dataclass
class Footnotes:
    """Footnotes of a table: each text once, numbered from 1."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> int:
        """Return the number of a footnote with this text."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


@dataclass(frozen=True)
class TableCell:
    """One number as text.

    Attributes:
        text: what is shown.
        order: value that a browser sorts by, empty where there is no number.
        word: True for a word in place of a number.
        lines: small print under the value.
        rank: range of ranks, empty where there is none.
        lead: True for the model that the paired tests show to be better than every other.
        note: number of its footnote, 0 for none.
        meaning: the comparisons that the rank follows from.
    """

    text: str
    order: str = ""
    word: bool = False
    lines: tuple[str, ...] = ()
    rank: str = ""
    lead: bool = False
    note: int = 0
    meaning: str = ""


@dataclass(frozen=True)
class BoardRow:
    """One run: metric cells in the order of the columns, then cost and counts."""

    entry: BoardEntry
    badges: tuple[str, ...]
    metrics: tuple[TableCell, ...]
    facts: tuple[TableCell, ...]


@dataclass(frozen=True)
class BoardTable:
    """Table of a group.

    `sorted_by` is the index of the column that orders the rows, -1 for none. `shared_badges` are those of
    every row, which stand once above the table.
    """

    columns: tuple[MetricColumn, ...]
    models: tuple[BoardRow, ...]
    controls: tuple[BoardRow, ...]
    notes: tuple[str, ...]
    sorted_by: int
    shared_badges: tuple[str, ...] = ()


IDENTICAL = "every frame is identical to the real one"
NO_REASON = "the run gives no reason"
FACTS = ("Check", "Time", "Device", "Peak memory", "Parameters", "Clips", "Coverage", "Seed")
FACT_UNITS = ("", "s / frame", "", "", "", "clips \u00b7 clusters \u00b7 frames", "lowest", "")
_REASONS_SHOWN = 3
_NAMES_SHOWN = 5


def board_table(group: BoardGroup, pairs: BoardPairs) -> BoardTable:
    """Build the table of a group: models ordered by the first column that is complete, then controls."""
    columns = columns_of(entry.run for entry in group.entries)
    notes = Footnotes()
    ranks = {column: pairs.ranks(column) if group.ranked else {} for column in columns}
    shared = _shared_badges([entry.run for entry in group.entries])
    decimals = {column: _column_decimals(group, column) for column in columns}
    rows = {
        entry: _row(entry, columns, ranks, pairs, group.frozen, notes, decimals, shared)
        for entry in group.entries
    }
    by = next((place for place, column in enumerate(columns) if _complete(group, column)), -1)
    models = [rows[entry] for entry in group.models]
    if by >= 0:
        sign = -1 if columns[by].direction == "higher" else 1
        models.sort(key=lambda row: sign * _value(row.entry, columns[by]))
    controls = tuple(rows[entry] for entry in group.controls)
    return BoardTable(
        tuple(columns), tuple(models), controls, tuple(notes.texts), by if len(models) > 1 else -1, shared
    )


def _shared_badges(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the badges that every one of several runs has."""
    badges = [_badges(run) for run in runs]
    return tuple(badge for badge in badges[0] if all(badge in of for of in badges)) if len(runs) > 1 else ()


def _column_decimals(group: BoardGroup, column: MetricColumn) -> int | None:
    """Return the decimals of a column: the median of those that the intervals of its models allow.

    Without models the controls decide; None where there is no interval.
    """
    for entries in (group.models, group.controls):
        summaries = [summary_of(entry.run, column) for entry in entries]
        found = [
            number_format.decimals_of(s.ci95) for s in summaries if s is not None and s.value is not None
        ]
        known = sorted(number for number in found if number is not None)
        if known:
            return known[len(known) // 2]
    return None


def summary_of(run: Run, column: MetricColumn) -> MetricSummary | None:
    """Return the number of a run in a column; None where it did not measure this version of the metric."""
    summary = run.metrics.get(column.name)
    return summary if summary is not None and column_of(column.name, summary) == column else None


def check_word(checked: CheckedRun) -> str:
    """Return the result of the check of a shown run in words."""
    return "verified" if checked.verified else "not verified"


def is_infinite(value: float | None, n_infinite: int, state: str) -> bool:
    """Tell whether a value is missing because every frame scores infinity."""
    return value is None and n_infinite > 0 and state == "ok"


def score_of(entry: BoardEntry, column: MetricColumn, frozen: BoardEntry | None) -> float | None:
    """Return the skill of an entry in a column of jittering errors, None without a frozen control."""
    if column.delta is None or frozen is None:
        return None
    own, still = summary_of(entry.run, column), summary_of(frozen.run, column)
    return skill(own.value, still.value) if own is not None and still is not None else None


def _value(entry: BoardEntry, column: MetricColumn) -> float:
    summary = summary_of(entry.run, column)
    assert summary is not None and summary.value is not None
    return summary.value


def _complete(group: BoardGroup, column: MetricColumn) -> bool:
    summaries = [summary_of(entry.run, column) for entry in group.models]
    return column.direction != "none" and all(s is not None and s.value is not None for s in summaries)


def _row(
    entry: BoardEntry,
    columns: Sequence[MetricColumn],
    ranks: dict[MetricColumn, dict[BoardEntry, tuple[int, int]]],
    pairs: BoardPairs,
    frozen: BoardEntry | None,
    notes: Footnotes,
    decimals: dict[MetricColumn, int | None],
    shared_badges: Sequence[str],
) -> BoardRow:
    usual = _counts(entry.run)
    cells = tuple(
        _cell(
            summary_of(entry.run, column),
            _rank(entry, column, ranks[column], pairs),
            score_of(entry, column, frozen),
            usual,
            notes,
            decimals[column],
            recomputed=column.name not in entry.checked.not_recomputable,
        )
        for column in columns
    )
    facts = (_check(entry, notes), *_facts(entry.run, usual))
    badges = tuple(badge for badge in _badges(entry.run) if badge not in shared_badges)
    return BoardRow(entry, badges, cells, facts)


def _check(entry: BoardEntry, notes: Footnotes) -> TableCell:
    """Build the cell that tells whether the run was verified, with the reasons where it was not."""
    word = check_word(entry.checked)
    if entry.checked.verified:
        return TableCell(word, word=True)
    reasons = [str(problem) for problem in entry.checked.unchecked]
    more = f"; and {len(reasons) - _REASONS_SHOWN} more" if len(reasons) > _REASONS_SHOWN else ""
    note = notes.add(f"Not verified: {'; '.join(reasons[:_REASONS_SHOWN])}{more}.")
    return TableCell(word, word=True, note=note)


def _cell(
    summary: MetricSummary | None,
    rank: tuple[str, str, bool],
    against_frozen: float | None,
    usual: tuple[int, int, int],
    notes: Footnotes,
    decimals: int | None,
    *,
    recomputed: bool,
) -> TableCell:
    if summary is None:
        return TableCell("not measured", word=True)
    remarks = _remarks(summary)
    if not recomputed and summary.value is not None:
        remarks.append("Not recomputed: nothing beside the run determines this metric, so it is not ranked.")
    note = notes.add(" ".join(remarks)) if remarks else 0
    lines = _lines(summary, against_frozen, usual, decimals)
    if is_infinite(summary.value, summary.n_infinite, summary.state):
        order = "1e999" if summary.direction == "higher" else "-1e999"
        return TableCell(number_format.INFINITE, order=order, lines=lines, note=note)
    if summary.value is None:
        word = summary.state if summary.state != "ok" else "no value"
        return TableCell(word, word=True, note=note)
    text = number_format.measured(summary.value, summary.ci95, decimals)
    shown, meaning, lead = rank
    return TableCell(text, _order(summary.value), False, lines, shown, lead, note, meaning)


def _rank(
    entry: BoardEntry,
    column: MetricColumn,
    ranks: Mapping[BoardEntry, tuple[int, int]],
    pairs: BoardPairs,
) -> tuple[str, str, bool]:
    """Return the rank of an entry as text, the comparisons it follows from, and True for a clear lead."""
    if entry not in ranks:
        return "", "", False
    best, worst = ranks[entry]
    rows = [
        (other, row)
        for other in ranks
        if other is not entry and (row := pairs.difference(other, entry, column)) is not None
    ]
    words = {"better": "better than", "worse": "worse than", "no difference shown": "undecided against"}
    lines = [
        f"{text} {_names([other.label for other, row in rows if row.verdict == verdict])}"
        for verdict, text in words.items()
        if any(row.verdict == verdict for _, row in rows)
    ]
    first = min(ranks, key=lambda one: (ranks[one], one.series))
    nearest = next(((other, row) for other, row in rows if other is first), rows[0])
    lines.append(f"difference from {nearest[0].label}: {difference_text(nearest[1])}")
    return (f"{best}" if best == worst else f"{best}\u2013{worst}"), "; ".join(lines), worst == 1


def difference_text(row: MetricDifference) -> str:
    """Format a paired difference with its interval and sign."""
    if row.difference is None:
        return number_format.NOTHING
    value = number_format.measured(row.difference, row.ci95)
    sign = "+" if row.difference > 0 else ""
    return f"{sign}{value}" + (f" {number_format.bounds(row.ci95)}" if row.ci95 is not None else "")


def _names(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _NAMES_SHOWN} more" if len(labels) > _NAMES_SHOWN else ""
    return ", ".join(label[:40] for label in labels[:_NAMES_SHOWN]) + more


def verdict(kind: str, reason: str | None, default: str) -> str:
    """Write a footnote from the kind of a value and the reason; a reason that names the kind stands alone."""
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
    summary: MetricSummary,
    against_frozen: float | None,
    usual: tuple[int, int, int],
    decimals: int | None,
) -> tuple[str, ...]:
    lines = []
    if summary.ci95 is not None:
        lines.append(number_format.bounds(summary.ci95, decimals))
    if against_frozen is not None:
        lines.append(f"skill {number_format.fixed(against_frozen, 2)}")
    if summary.coverage is not None and summary.coverage < 1:
        lines.append(f"coverage {number_format.percent(summary.coverage)}")
    if (summary.n_cases, summary.n_clusters) != usual[:2] and summary.value is not None:
        parts = ((summary.n_cases, "clip"), (summary.n_clusters, "cluster"))
        lines.append(", ".join(number_format.counted(number, noun) for number, noun in parts))
    return tuple(lines)


def _counts(run: Run) -> tuple[int, int, int]:
    """Return the numbers of clips, clusters and frames that most metrics of the run are based on."""
    counts = Counter((s.n_cases, s.n_clusters, s.n_frames) for s in run.metrics.values() if s.n_cases)
    if not counts:
        return (run.dataset.n_cases, 0, 0)
    return min(counts, key=lambda key: (-counts[key], key))


def _badges(run: Run) -> tuple[str, ...]:
    badges = []
    if run.contestant.origin == "predictions":
        badges.append("scored from finished videos")
    if run.contestant.frames_seen != "none":
        badges.append(f"saw the driving {'frames' if run.contestant.frames_seen == 'all' else 'face'}")
    if run.contestant.backbone is not None:
        badges.append(f"backbone {run.contestant.backbone}")
    if run.contestant.isolated is False and not run.contestant.control:
        badges.append("ran inside the evaluator")
    if run.limit is not None:
        badges.append(f"limit {number_format.counted(run.limit, 'clip')}")
    if run.max_frames is not None:
        badges.append(f"first {number_format.counted(run.max_frames, 'frame')}")
    if run.status != "complete":
        badges.append(run.status)
    return tuple(badges)


def _facts(run: Run, usual: tuple[int, int, int]) -> tuple[TableCell, ...]:
    cost, nothing = run.cost, TableCell(number_format.NOTHING)
    pace, device, peak = nothing, nothing, nothing
    if cost is not None:
        device = TableCell(cost.device, word=True)
        if cost.seconds_per_frame is not None:
            pace = TableCell(
                number_format.significant(cost.seconds_per_frame, 3), _order(cost.seconds_per_frame)
            )
        shown = (
            (f"{number_format.memory(cost.peak_device_mb)} device",)
            if cost.peak_device_mb is not None
            else ()
        )
        peak = TableCell(number_format.memory(cost.peak_rss_mb), _order(cost.peak_rss_mb), lines=shown)
    size = run.contestant.parameters
    parameters = TableCell(number_format.count(size), str(size)) if size > 0 else nothing
    clips, clusters, frames = usual
    counts = (str(clusters or number_format.NOTHING), f"{frames:,}".replace(",", "\u202f") if frames else "")
    text = " \u00b7 ".join(part for part in (str(clips), *counts) if part)
    shares = [s.coverage for s in run.metrics.values() if s.coverage is not None]
    coverage = TableCell(number_format.percent(min(shares)), _order(min(shares))) if shares else nothing
    seed = TableCell(str(run.seed), str(run.seed))
    return (pace, device, peak, parameters, TableCell(text, str(clips)), coverage, seed)
