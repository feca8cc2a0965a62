"""Tables of clips against contestants, worst clips first."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

from benchmark.results import CaseResult, CaseScore, Video
from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.tables.board_table import IDENTICAL, NO_REASON, Footnotes, is_infinite, verdict
from leaderboard.tables.columns import HEADLINE, MetricColumn, columns_of
from leaderboard.text import number_format

_LEVELS = 4


@dataclass(frozen=True)
class ClipCell:
    """Value of a clip as text.

    Attributes:
        text: what is shown.
        order: value to sort by where the text is not a number.
        level: 0 (best) to 4 (worst) among all values of the table.
        note: number of its footnote, 0 for none.
    """

    text: str
    order: str = ""
    level: int = 0
    note: int = 0


@dataclass(frozen=True)
class ClipTable:
    """One metric on every clip: rows are (index of the clip in `ClipTables.clips`, cells in entry order)."""

    column: MetricColumn
    rows: tuple[tuple[int, tuple[ClipCell, ...]], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ClipComparison:
    """One clip of a board with the case of each entry, in entry order (None: no file of it)."""

    clip_id: str
    num_frames: int
    width: int
    height: int
    fps: float
    cases: tuple[CaseResult | None, ...]


@dataclass(frozen=True)
class ClipTables:
    """The clips of a group, worst first by the first headline metric that was measured.

    `missing` counts clip files that runs list and that are not there.
    """

    clips: tuple[ClipComparison, ...]
    tables: tuple[ClipTable, ...]
    missing: int


def clip_tables(group: BoardGroup) -> ClipTables:
    """Collect the clips of a group."""
    by_entry = [entry.checked.cases for entry in group.entries]
    names = sorted({name for cases in by_entry for name in cases})
    clips = [_clip(name, tuple(cases.get(name) for cases in by_entry)) for name in names]
    columns = [c for c in columns_of(entry.run for entry in group.entries) if c.name in HEADLINE]
    for column in reversed(columns):
        clips.sort(key=functools.partial(_badness, column=column, group=group))
    tables = tuple(table for column in columns if (table := _table(column, clips, group)).rows)
    missing = sum(len(set(entry.run.cases)) - len(entry.checked.cases) for entry in group.entries)
    return ClipTables(tuple(clips), tables, missing)


def videos_of(clip: ClipComparison, entries: tuple[BoardEntry, ...]) -> list[tuple[BoardEntry, Path, Video]]:
    """List the videos of a clip with the folders of their runs: the real one first, then the contestants."""
    pairs = [
        (entry, entry.checked.folder, case.video)
        for entry, case in zip(entries, clip.cases, strict=True)
        if case is not None and case.video is not None
    ]
    return sorted(
        pairs, key=lambda pair: pair[0].run.contestant.name != "ground-truth" or not pair[0].control
    )


def _clip(name: str, cases: tuple[CaseResult | None, ...]) -> ClipComparison:
    known = [case for case in cases if case is not None]
    first = known[0]
    frames = max(case.num_frames for case in known)
    return ClipComparison(name, frames, first.width, first.height, _rate(first.fps), cases)


def _rate(text: str) -> float:
    """Parse a frame rate; 0 where the text is not a fraction (the player then has no frame step)."""
    if not re.fullmatch(r"\d{1,9}(/0*[1-9]\d{0,8})?", text, re.ASCII):
        return 0.0
    rate = float(Fraction(text))
    return rate if rate <= 1000 else 0.0


def _score(case: CaseResult | None, column: MetricColumn) -> CaseScore | None:
    return case.metrics.get(column.name) if case is not None else None


def _badness(clip: ClipComparison, column: MetricColumn, group: BoardGroup) -> tuple[bool, float]:
    """Sort key, worst first: the mean over models, or over all entries where there are no models."""
    counted = len(group.models) or len(group.entries)
    scores = [_score(case, column) for case in clip.cases[:counted]]
    values = [score.value for score in scores if score is not None and score.value is not None]
    if not values:
        return (True, 0.0)
    return (False, fmean(values) if column.direction == "higher" else -fmean(values))


def _table(column: MetricColumn, clips: list[ClipComparison], group: BoardGroup) -> ClipTable:
    notes = Footnotes()
    order = sorted(range(len(clips)), key=lambda place: _badness(clips[place], column, group))
    values = sorted(
        score.value
        for clip in clips
        for case in clip.cases
        if (score := _score(case, column)) is not None and score.value is not None
    )
    rows = [
        (place, tuple(_cell(_score(case, column), column, values, notes) for case in clips[place].cases))
        for place in order
    ]
    measured = any(cell.text != number_format.NOTHING for _, cells in rows for cell in cells)
    return ClipTable(column, tuple(rows) if measured else (), tuple(notes.texts))


def _cell(score: CaseScore | None, column: MetricColumn, values: list[float], notes: Footnotes) -> ClipCell:
    if score is None:
        return ClipCell(number_format.NOTHING)
    if is_infinite(score.value, score.n_infinite, score.state):
        note = notes.add(verdict("infinite", score.reason, IDENTICAL))
        return ClipCell(
            number_format.INFINITE, "1e999" if column.direction == "higher" else "-1e999", 0, note
        )
    if score.value is None:
        note = notes.add(verdict(score.state, score.reason, NO_REASON))
        return ClipCell("n/a", note=note)
    note = 0
    if score.state != "ok":
        note = notes.add(verdict(score.state, score.reason, NO_REASON))
    return ClipCell(number_format.significant(score.value), "", _level(score.value, column, values), note)


def _level(value: float, column: MetricColumn, values: list[float]) -> int:
    if column.direction == "none" or values[0] == values[-1]:
        return 0
    share = sum(other < value for other in values) / (len(values) - 1)
    return round(_LEVELS * (share if column.direction == "lower" else 1 - share))
