"""Result of a run as a plain-text table."""

from __future__ import annotations

from benchmark.results import LongForm, MetricSummary, Run

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
    if run.long_form is not None and run.long_form.usable is not None:
        lines = [*_lasting(run.long_form, run.cost.seconds_per_minute if run.cost else None), "", *lines]
    return "\n".join(lines)


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
    state = summary.state if summary.reason is None else f"{summary.state}: {summary.reason}"
    better = {"higher": "higher", "lower": "lower", "none": "-"}[summary.direction]
    return name, value, interval, summary.unit, better, str(summary.n_cases), state
