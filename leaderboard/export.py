"""Downloads of a site for programs: one JSON document, one long table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leaderboard.entries.groups import BoardEntry, BoardGroup
from leaderboard.entries.runs import RefusedRun
from leaderboard.tables.board_table import check_word, score_of
from leaderboard.tables.columns import MetricColumn, columns_of
from leaderboard.tables.pairs import BoardPairs

BOARD_SCHEMA = "talkingpose.board/1"
_PAIR_COLUMNS = (
    *("metric", "unit", "direction", "role", "a", "b", "difference", "p", "p_adjusted", "n_cases"),
    *("n_clusters", "verdict"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CSV_COLUMNS = (
    *("board", "ranked", "contestant", "label", "revision", "seed", "control", "origin"),
    *("metric", "version", "unit", "direction", "value", "frame_weighted", "ci95_low", "ci95_high"),
    *("rank_best", "rank_worst", "skill", "n_cases", "n_clusters", "n_frames", "n_infinite"),
    *("coverage", "state", "reason", "protocol_sha256", "cases_sha256", "check"),
)


def board_json(title: str, groups: Sequence[BoardGroup], refused: Sequence[RefusedRun] = ()) -> str:
    """Serialise the documents of every run on every board, with the result of the check."""
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
        "refused": [{"run": run.folder.name, "reasons": list(run.reasons)} for run in refused],
    }
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n"


def board_csv(groups: Sequence[BoardGroup], pairs: Sequence[BoardPairs]) -> str:
    """Write one line per run and metric; a value that does not exist is empty, with `state` and `reason`.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for group, of_group in zip(groups, pairs, strict=True):
        columns = columns_of(entry.run for entry in group.entries)
        ranks = {column: of_group.ranks(column) for column in columns} if group.ranked else {}
        for entry in group.entries:
            writer.writerows(_lines(group, entry, ranks))
    return buffer.getvalue()


def pairs_csv(groups: Sequence[BoardGroup], pairs: Sequence[BoardPairs]) -> str:
    """Write one line per pair of models and metric: how `judged` differs from `baseline`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("board", "baseline", "judged", *_PAIR_COLUMNS, "ci95_low", "ci95_high", "reason"))
    for group, of_group in zip(groups, pairs, strict=True):
        for (baseline, judged), rows in of_group.found.items():
            for row in rows.values():
                cells: list[object] = [group.number, baseline.label, judged.label]
                cells += [getattr(row, name) for name in _PAIR_COLUMNS]
                # The reason of a missing number names the folder of the run on the machine of the board.
                reason = row.reason if row.difference is not None else "no number on every clip"
                cells += [*(row.ci95 or (None, None)), reason if row.p is None else None]
                writer.writerow([csv_text(cell) for cell in cells])
    return buffer.getvalue()


def _run_document(entry: BoardEntry) -> dict[str, Any]:
    checked = entry.checked
    return {
        "label": entry.label,
        "control": entry.control,
        "check": check_word(checked),
        "problems": [str(problem) for problem in checked.problems],
        "not_recomputable": sorted(checked.not_recomputable),
        "run": entry.run.model_dump(mode="json", by_alias=True),
        "cases": [
            checked.cases[clip_id].model_dump(mode="json", by_alias=True) for clip_id in sorted(checked.cases)
        ],
    }


def _lines(
    group: BoardGroup, entry: BoardEntry, ranks: Mapping[MetricColumn, Mapping[BoardEntry, tuple[int, int]]]
) -> Iterator[list[str]]:
    run, who = entry.run, entry.run.contestant
    for column in columns_of([run]):
        summary = run.metrics[column.name]
        low, high = summary.ci95 or (None, None)
        best, worst = ranks.get(column, {}).get(entry, (None, None))
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
        cells += [check_word(entry.checked)]
        yield [csv_text(cell) for cell in cells]


def csv_text(cell: object) -> str:
    """Format a cell; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return str(cell).lower() if isinstance(cell, bool) else repr(cell)
