"""Sentences that a paper may quote: value, interval, clips, protocol and its hash."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmark.analysis.compare import Comparison
from benchmark.report.number_format import between, counted, measured
from benchmark.results import MetricSummary, Run


def run_sentence(run: Run, metrics: Sequence[str]) -> str:
    """Return the sentence about some metrics of a run."""
    parts = [_part(name, run.metrics[name]) for name in metrics if run.metrics[name].value is not None]
    if not parts:
        return "No primary metric of this run has a value, so there is nothing to quote."
    clips = max(run.metrics[name].n_cases for name in metrics)
    persons = max(run.metrics[name].n_clusters for name in metrics)
    data = f"{dataset_name(run)}, split {run.dataset.split}"
    if run.dataset.revision:
        data += f", revision {run.dataset.revision[:12]}"
    who = run.contestant
    version = str(run.env.get("talkingpose", "")) or "unknown version"
    return (
        f"On {counted(clips, 'clip')} of {counted(persons, 'person')} ({data}), {who.name} (revision "
        f"{who.revision[:12]}) reaches {_listed(parts)}; 95 % intervals over persons; protocol "
        f"{protocol_text(run)}, TalkingPose Bench {version}."
    )


def cautions(run: Run, verified: bool) -> list[str]:
    """Return the reasons not to quote a run as it is."""
    lines = []
    if not run.comparable:
        lines.append("A limit (--limit or --max-frames) was set: this is no result of the whole protocol.")
    if run.status != "complete":
        lines.append(f"The run is {run.status}: some clips have no score.")
    if run.contestant.origin == "predictions":
        lines.append("Finished videos were scored: their encoding counts, too.")
    if run.contestant.control:
        lines.append("This is a control, not a model.")
    elif run.contestant.frames_seen != "none":
        lines.append(f"The contestant saw driving frames ({run.contestant.frames_seen}).")
    if not verified:
        lines.append("Some parts of the run could not be checked; they are listed below.")
    return lines


def comparison_sentence(found: Comparison, metric: str) -> str | None:
    """Return the sentence about one metric of a comparison; None if it has no difference."""
    row = next((one for one in found.metrics if one.metric == metric), None)
    if row is None or row.difference is None:
        return None
    p = "" if row.p_adjusted is None else f", adjusted p = {row.p_adjusted:.3g}"
    name, _, digest = found.protocol.partition(" ")
    return (
        f"{found.b.name} differs from {found.a.name} in {metric} by {measured(row.difference, row.ci95)}"
        f"{_unit(row.unit)} (95 % interval {between(row.ci95)}{p}; paired over "
        f"{counted(row.n_cases, 'clip')} of {counted(row.n_clusters, 'person')}; protocol {name}, SHA-256 "
        f"{digest[:12]}): {row.verdict}."
    )


def protocol_text(run: Run) -> str:
    """Return name, version and short hash of the protocol."""
    return f"{run.protocol.id}@{run.protocol.version} (SHA-256 {run.protocol.sha256[:12]})"


def dataset_name(run: Run) -> str:
    """Return the name of the dataset; of a local folder its last part, which tells less of the machine."""
    location = run.dataset.location
    is_path = location.startswith(("/", ".", "~")) or "\\" in location or Path(location).is_dir()
    return re.split(r"[/\\]", location.rstrip("/\\"))[-1] if is_path else location


def _part(name: str, summary: MetricSummary) -> str:
    value = f"{name} {measured(summary.value, summary.ci95)}{_unit(summary.unit)}"
    interval = "no interval" if summary.ci95 is None else between(summary.ci95)
    share = "" if summary.coverage is None or summary.coverage >= 1 else f", {summary.coverage:.0%} of frames"
    return f"{value} ({interval}{share})"


def _unit(unit: str) -> str:
    return f" {unit}" if unit not in ("", "1") else ""


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
