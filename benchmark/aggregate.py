"""The numbers of the clips become the numbers of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.metrics import MetricSpec
from benchmark.protocol import Aggregation
from benchmark.results import Case, CaseScore, MetricSummary, State
from benchmark.statistics import intervals


def summaries(
    specs: Sequence[MetricSpec], cases: Sequence[Case], num_planned: int, rule: Aggregation
) -> dict[str, MetricSummary]:
    """One summary for each metric over the clips that were scored, out of `num_planned`."""
    return {spec.id: _summary(spec, cases, num_planned, rule) for spec in specs}


def _summary(spec: MetricSpec, cases: Sequence[Case], num_planned: int, rule: Aggregation) -> MetricSummary:
    scored = [(case, case.metrics[spec.id]) for case in cases if case.metrics[spec.id].state == "ok"]
    finite = [(case, score, score.value) for case, score in scored if score.value is not None]
    values = np.array([[value] for _, _, value in finite], dtype=np.float64).reshape(-1, 1)
    clusters = [case.cluster for case, _, _ in finite]
    interval = intervals(values, clusters, rule)[0] if finite else None
    state, reason = _verdict(cases, num_planned, spec.id, len(finite), len(set(clusters)))
    return MetricSummary(
        value=float(values.mean()) if finite else None,
        frame_weighted=_frame_weighted([(score, value) for _, score, value in finite]),
        ci95=interval,
        version=spec.version,
        unit=spec.unit,
        direction=spec.direction,
        aggregation=f"{rule.value}; {rule.interval}, {rule.resamples} resamples, seed {rule.seed}",
        n_cases=len(scored),
        n_clusters=len({case.cluster for case, _ in scored}),
        n_frames=sum(score.n_frames for _, score in scored),
        n_infinite=sum(score.n_infinite for _, score in scored),
        coverage=len(scored) / num_planned,
        state=state,
        reason=reason,
    )


def _frame_weighted(scores: Sequence[tuple[CaseScore, float]]) -> float | None:
    """Mean over clips weighted by the number of finite scores of each, None where there is none."""
    weights = [score.n_frames - score.n_infinite for score, _ in scores]
    if not any(weights):
        return None
    return sum(w * value for w, (_, value) in zip(weights, scores, strict=True)) / sum(weights)


def _verdict(
    cases: Sequence[Case], num_planned: int, metric: str, num_finite: int, num_clusters: int
) -> tuple[State, str | None]:
    """State of the summary, and everything a reader must know of it in one line."""
    scores: Mapping[str, CaseScore] = {case.clip_id: case.metrics[metric] for case in cases}
    missing = num_planned - len(cases)
    broken = [score for score in scores.values() if score.state != "ok"]
    infinite = len(scores) - len(broken) - num_finite
    reasons = []
    if missing:
        reasons.append(f"{missing} of {num_planned} clips failed")
    if broken:
        reasons.append(f"{len(broken)} of {num_planned} clips have no score: {broken[0].reason}")
    if infinite and not num_finite:
        reasons.append("infinite: every frame is identical to the real one")
    elif infinite:
        reasons.append(f"infinite on {infinite} clips (every frame identical), left out of the mean")
    elif num_clusters == 1:
        reasons.append("no interval: one cluster")
    if not cases:
        return "failed", "; ".join(reasons)
    if len(broken) == len(scores):
        return broken[0].state, "; ".join(reasons)
    return ("partial" if missing or broken else "ok"), "; ".join(reasons) or None
