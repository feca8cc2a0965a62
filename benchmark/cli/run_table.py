"""Result of a run as plain text: primary metrics, remarks once, clips left out, the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.results import LongForm, MetricSummary, Run

_HEADER = ("metric", "value", "95 % interval", "unit", "better", "clips", "state")
_LEFT_OUT = ("too-short", "failed", "pending")
_LISTED = 10


def table(run: Run, primary: Sequence[str] = ()) -> str:
    """Return one line per metric: value, interval, unit, direction, number of clips and state.

    Reasons stand below the table, each once with its metrics.

    Args:
        run: document of the run.
        primary: ids of the metrics to show; empty for all.
    """
    shown = {name: run.metrics[name] for name in primary if name in run.metrics} or run.metrics
    rows = [_HEADER, *(_row(name, summary) for name, summary in shown.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    right = (False, True, True, False, False, True, False)
    lines = []
    for row in rows:
        cells = zip(row, widths, right, strict=True)
        lines.append("  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in cells).rstrip())
    lines += _reasons(shown)
    if len(shown) < len(run.metrics):
        lines.append(f"{len(run.metrics) - len(shown)} more: --all")
    if run.long_form is not None and run.long_form.usable is not None:
        lines = [*_lasting(run.long_form, run.cost.seconds_per_minute if run.cost else None), "", *lines]
    return "\n".join(lines)


def closing(run: Run, folder: Path) -> str:
    """Return where the run lies and the next command."""
    what = "score" if run.contestant.origin == "predictions" else "run"
    if run.status != "complete":
        return f"{folder}\nnext: the same tp-eval {what} command again, for the clips without a score"
    return f"{folder}\nnext: tp-eval report {shlex.quote(str(folder))}"


def left_out(run: Run) -> Iterator[str]:
    """Yield one line for each clip that has no score, with the reason."""
    entries = [entry for entry in run.audit if entry.kind in _LEFT_OUT]
    for entry in entries[:_LISTED]:
        yield f"{entry.clip_id}: {entry.message}"
    if len(entries) > _LISTED:
        yield f"and {len(entries) - _LISTED} more clips without a score: run.json lists them"


def _reasons(shown: dict[str, MetricSummary]) -> Iterator[str]:
    """Yield each reason once, with the metrics that it is about."""
    by_reason: dict[str, list[str]] = {}
    for name, summary in shown.items():
        if summary.reason is not None:
            by_reason.setdefault(summary.reason, []).append(name)
    for reason, names in by_reason.items():
        yield f"note: {reason}" if len(names) == len(shown) else f"note: {', '.join(names)}: {reason}"


def _lasting(form: LongForm, pace: float | None) -> list[str]:
    """Return the headline of a protocol of minutes: usable horizon, collapsed clips, cost of a minute."""
    usable, collapse = form.usable, form.collapse
    assert usable is not None
    median = f"{usable.median_s:g} s" if usable.median_s is not None else "beyond the end of the clips"
    if usable.median_ci95 is not None:
        low, high = ("end" if end is None else f"{end:g}" for end in usable.median_ci95)
        median += f" (95 % interval {low} to {high})"
    lines = [f"usable horizon: {median}; {usable.n_crossed} of {usable.n_clips} clips leave the bounds"]
    if collapse is not None:
        events = ", ".join(f"{e.clip_id} at {e.second} s by {e.metric}" for e in collapse.events)
        lines.append(f"collapsed clips: {len(collapse.events)} of {collapse.n_clips} {events}".rstrip())
    return lines if pace is None else [*lines, f"cost: {pace:.1f} s for a minute of video"]


def _row(name: str, summary: MetricSummary) -> tuple[str, ...]:
    value = "-" if summary.value is None else f"{summary.value:.4f}"
    interval = "-" if summary.ci95 is None else f"{summary.ci95[0]:.4f} to {summary.ci95[1]:.4f}"
    better = {"higher": "higher", "lower": "lower", "none": "-"}[summary.direction]
    return name, value, interval, summary.unit, better, str(summary.n_cases), summary.state
