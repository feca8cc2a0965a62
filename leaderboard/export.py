"""The numbers of a site for programs: one JSON document and one long table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from leaderboard.columns import columns_of
from leaderboard.groups import BoardEntry, BoardGroup
from leaderboard.table import column_ranks, score_of

BOARD_SCHEMA = "talkingpose.board/1"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CSV_COLUMNS = (
    *("board", "ranked", "contestant", "label", "revision", "seed", "control", "origin"),
    *("metric", "version", "unit", "direction", "value", "frame_weighted", "ci95_low", "ci95_high"),
    *("rank_best", "rank_worst", "skill", "n_cases", "n_clusters", "n_frames", "n_infinite"),
    *("coverage", "state", "reason", "protocol_sha256", "cases_sha256"),
)


def board_json(title: str, groups: Sequence[BoardGroup]) -> str:
    """Every run and clip of every board as its own document says it."""
    document = {
        "schema": BOARD_SCHEMA,
        "title": title,
        "boards": [
            {
                "number": group.number,
                "ranked": group.ranked,
                "why": group.why,
                "runs": [_run_document(entry) for entry in group.entries],
            }
            for group in groups
        ],
    }
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n"


def board_csv(groups: Sequence[BoardGroup]) -> str:
    """One line per run and metric. Empty cells are values that do not exist; `state` and `reason` say why.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for group in groups:
        for entry in group.entries:
            writer.writerows(_lines(group, entry))
    return buffer.getvalue()


def _run_document(entry: BoardEntry) -> dict[str, Any]:
    cases = [case.model_dump(mode="json", by_alias=True) for case in entry.loaded.cases]
    run = entry.run.model_dump(mode="json", by_alias=True)
    return {"label": entry.label, "control": entry.control, "run": run, "cases": cases}


def _lines(group: BoardGroup, entry: BoardEntry) -> Iterator[list[str]]:
    run, who = entry.run, entry.run.contestant
    for column in columns_of([run]):
        summary = run.metrics[column.name]
        low, high = summary.ci95 or (None, None)
        best, worst = column_ranks(group, column).get(entry, (None, None))
        cells: list[object] = [group.number, group.ranked, who.name, entry.label, who.revision, run.seed]
        cells += [who.control, who.origin, column.name, column.version, column.unit, column.direction]
        cells += [
            summary.value,
            summary.frame_weighted,
            low,
            high,
            best,
            worst,
            score_of(entry, column, group.frozen),
        ]
        cells += [summary.n_cases, summary.n_clusters, summary.n_frames, summary.n_infinite, summary.coverage]
        cells += [summary.state, summary.reason, run.protocol.sha256, run.dataset.cases_sha256]
        yield [_csv_text(cell) for cell in cells]


def _csv_text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return str(cell).lower() if isinstance(cell, bool) else repr(cell)
