"""Result of a run as a plain-text table."""

from __future__ import annotations

from benchmark.results import MetricSummary, Run

_HEADER = ("metric", "value", "95 % interval", "unit", "better", "clips", "state")


def table(run: Run) -> str:
    """Return one line per metric: value, interval, unit, direction, number of clips, state and reason."""
    rows = [_HEADER, *(_row(name, summary) for name, summary in run.metrics.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    right = (False, True, True, False, False, True, False)
    lines = []
    for row in rows:
        cells = zip(row, widths, right, strict=True)
        lines.append("  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in cells).rstrip())
    return "\n".join(lines)


def _row(name: str, summary: MetricSummary) -> tuple[str, ...]:
    value = "-" if summary.value is None else f"{summary.value:.4f}"
    interval = "-" if summary.ci95 is None else f"{summary.ci95[0]:.4f} to {summary.ci95[1]:.4f}"
    state = summary.state if summary.reason is None else f"{summary.state}: {summary.reason}"
    better = {"higher": "higher", "lower": "lower", "none": "-"}[summary.direction]
    return name, value, interval, summary.unit, better, str(summary.n_cases), state
