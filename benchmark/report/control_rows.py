"""Statements of control runs about the numbers of a run: floor, ceiling and known faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.analysis.compare import Comparison, compare
from benchmark.analysis.paired import MetricDifference
from benchmark.errors import EvaluationError
from benchmark.report.number_format import between, measured
from benchmark.results import Run, read_run
from talkingpose.io.errors import UserError

FLOOR, CEILING = "frozen", "reencode"
_MEANINGS = {
    "ground-truth": "the real frames themselves",
    "reencode": "the real video, encoded once more: a ceiling for models",
    "frozen": "the portrait, repeated: a floor for models",
    "lag": "the real video, a few frames late",
    "drift": "the real video, with a brightness that drifts",
    "brightness": "the real video, brighter",
    "flicker": "the real video, with a brightness that flickers",
    "late-blur": "the real video, blurred towards its end",
    "paste-driver": "the driving frames, pasted",
}
# A fault that costs less than this share of the range from floor to ceiling is not seen by a metric.
_UNSEEN = 0.05


class ReportError(EvaluationError):
    """A run cannot be reported."""


@dataclass(frozen=True)
class ControlRow:
    """A control beside the run.

    Attributes:
        name: contestant of the control run.
        meaning: content of its videos.
        values: value of each metric in the control run.
        differences: metric -> the run minus the control, paired by clip.
    """

    name: str
    meaning: str
    values: Mapping[str, float | None]
    differences: Mapping[str, MetricDifference]


def control_rows(folder: Path, run: Run, given: Sequence[Path]) -> list[ControlRow]:
    """Compare a run with controls.

    Args:
        folder: folder of the run.
        run: document of the run.
        given: folders of control runs; empty for those that lie beside the run.

    Raises:
        ReportError: a given run is no control, or holds other clips or other rules.
    """
    rows: dict[str, ControlRow] = {}
    for path in given or _beside(folder, run):
        document = read_run(path)
        name = document.contestant.name
        if not document.contestant.control:
            raise ReportError(f"--control {path}: {name} is no control: give a run of tp-eval --model frozen")
        found = compare(path, folder)
        rows[name] = ControlRow(
            name=name,
            meaning=_MEANINGS.get(name, "a control of another package"),
            values={metric: summary.value for metric, summary in document.metrics.items()},
            differences=_by_metric(found),
        )
    order = list(_MEANINGS)
    return sorted(
        rows.values(), key=lambda row: (order.index(row.name) if row.name in order else 99, row.name)
    )


def control_statements(rows: Sequence[ControlRow], run: Run, metrics: Sequence[str]) -> list[str]:
    """Return the statements of controls about metrics, one line each."""
    by_name = {row.name: row for row in rows}
    lines = []
    for metric in metrics:
        if run.contestant.control:
            break
        if FLOOR in by_name:
            lines += _against_floor(metric, by_name[FLOOR].differences.get(metric))
        if CEILING in by_name:
            lines += _against_ceiling(metric, by_name[CEILING].differences.get(metric))
        if {FLOOR, CEILING} <= by_name.keys():
            lines += _position(metric, run, by_name[FLOOR], by_name[CEILING])
    if {FLOOR, CEILING} <= by_name.keys():
        faults = [row for row in rows if row.name not in (FLOOR, CEILING, "ground-truth", "paste-driver")]
        lines += _unseen(metrics, faults, by_name[FLOOR], by_name[CEILING])
    return lines


def _beside(folder: Path, run: Run) -> list[Path]:
    """Find control runs over the same clips and rules in the folder that holds the run."""
    found = []
    for path in sorted(folder.resolve().parent.glob("*/run.json")):
        if path.parent == folder.resolve() or path.is_symlink():
            continue
        try:
            other = read_run(path.parent)
            same = (other.protocol.sha256, other.dataset.cases_sha256, other.limit, other.max_frames)
            if not other.contestant.control or other.status != "complete":
                continue
            if same == (run.protocol.sha256, run.dataset.cases_sha256, run.limit, run.max_frames):
                compare(path.parent, folder)
                found.append(path.parent)
        except UserError:  # another run of the folder, which was not asked for
            continue
    return found


def _by_metric(found: Comparison) -> dict[str, MetricDifference]:
    return {row.metric: row for row in found.metrics}


def _against_floor(metric: str, row: MetricDifference | None) -> list[str]:
    if row is None or row.difference is None or row.direction == "none":
        return []
    gap = f"difference {measured(row.difference, row.ci95)}, 95 % interval {between(row.ci95)}"
    if _sign(row) > 0:
        return [f"{metric}: better than a still portrait ({gap})."]
    if _sign(row) < 0:
        return [f"{metric}: worse than a still portrait ({gap}): moving costs more here than it gains."]
    return [f"{metric}: not told apart from a still portrait ({gap}): it does not show that the model moves."]


def _against_ceiling(metric: str, row: MetricDifference | None) -> list[str]:
    if row is None or row.difference is None or row.direction == "none" or _sign(row) <= 0:
        return []
    return [
        f"{metric}: better than the real video after one more encoding (difference "
        f"{measured(row.difference, row.ci95)}): check that the model did not see the real frames."
    ]


def _position(metric: str, run: Run, floor: ControlRow, ceiling: ControlRow) -> list[str]:
    summary = run.metrics.get(metric)
    low, high = floor.values.get(metric), ceiling.values.get(metric)
    if summary is None or summary.value is None or summary.direction == "none" or low is None or high is None:
        return []
    if (high > low) != (summary.direction == "higher") or high == low:
        return [
            f"{metric}: the still portrait scores no worse than the real video here: do not quote it alone."
        ]
    share = (summary.value - low) / (high - low)
    position = f"{share:.0%}".replace("%", " %").replace("-", "\u2212")
    return [f"{metric}: {position} of the way from the still portrait to the real video."]


def _unseen(
    metrics: Sequence[str], faults: Sequence[ControlRow], floor: ControlRow, ceiling: ControlRow
) -> list[str]:
    lines = []
    for fault in faults:
        blind = []
        for metric in metrics:
            bottom, top, value = (row.values.get(metric) for row in (floor, ceiling, fault))
            if bottom is None or top is None or value is None or bottom == top:
                continue
            if abs(value - top) < _UNSEEN * abs(top - bottom):
                blind.append(metric)
        if blind:
            lines.append(f"{', '.join(blind)}: the fault of {fault.name} ({fault.meaning}) is hardly seen.")
    return lines


def _sign(row: MetricDifference) -> int:
    """Return 1 if the run is better by its interval, -1 if worse, 0 if the interval holds 0."""
    if row.ci95 is None or row.difference is None or row.ci95[0] <= 0 <= row.ci95[1]:
        return 0
    return 1 if (row.difference > 0) == (row.direction == "higher") else -1
