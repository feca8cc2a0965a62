"""Aggregation of the scores of clips into the summaries of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmark.analysis.statistics import FEW_PERSONS, interval_method, intervals
from benchmark.features.contract import Arrays
from benchmark.metrics import AnyMetric, ClipArrays, MetricSpec, SetMetric
from benchmark.results import CaseResult, CaseScore, MetricSummary, State
from benchmark.rules import Aggregation

# A clip with some frames that could not be scored has a score, and its state says so.
_WITH_SCORE: tuple[State, ...] = ("ok", "partial")


def summaries(
    metrics: Sequence[AnyMetric],
    cases: Sequence[CaseResult],
    num_planned: int,
    rule: Aggregation,
    stored: Callable[[CaseResult], Mapping[str, Arrays]],
) -> dict[str, MetricSummary]:
    """Summarize each metric over the scored clips.

    Args:
        metrics: metrics of the protocol.
        cases: scored clips.
        num_planned: number of clips of the run.
        rule: aggregation rule of the protocol.
        stored: reads the stored features of a case, which metrics over all clips are computed from.
    """
    found = {}
    for metric in metrics:
        summary = _summary(metric.spec, cases, num_planned, rule)
        if isinstance(metric, SetMetric) and summary.n_cases:
            summary = _of_the_set(metric, summary, cases, rule, stored)
        found[metric.spec.id] = summary
    return found


def _of_the_set(
    metric: SetMetric,
    summary: MetricSummary,
    cases: Sequence[CaseResult],
    rule: Aggregation,
    stored: Callable[[CaseResult], Mapping[str, Arrays]],
) -> MetricSummary:
    """Return the summary with the score over all clips."""
    spec = metric.spec
    clips = [
        ClipArrays(case.clip_id, case.cluster, {name: stored(case)[name] for name in spec.collections})
        for case in cases
        if case.metrics[spec.id].state in _WITH_SCORE
    ]
    score = metric.score(clips, rule)
    reasons = [reason for reason in (summary.reason, score.reason) if reason]
    return summary.model_copy(
        update={
            "value": score.value,
            "ci95": score.ci95,
            "aggregation": "all clips together; interval as the metric's definition says",
            "state": "unavailable" if score.value is None else summary.state,
            "reason": "; ".join(reasons) or None,
        }
    )


def _summary(
    spec: MetricSpec, cases: Sequence[CaseResult], num_planned: int, rule: Aggregation
) -> MetricSummary:
    scored = [(case, case.metrics[spec.id]) for case in cases if case.metrics[spec.id].state in _WITH_SCORE]
    finite = [(case, score, score.value) for case, score in scored if score.value is not None]
    values = np.array([[value] for _, _, value in finite], dtype=np.float64).reshape(-1, 1)
    clusters = [case.cluster for case, _, _ in finite]
    interval = intervals(values, clusters, rule)[0] if finite else None
    state, reason = _verdict(cases, num_planned, spec, len(finite), len(set(clusters)))
    return MetricSummary(
        value=float(values.mean()) if finite else None,
        frame_weighted=_frame_weighted([(score, value) for _, score, value in finite]),
        ci95=interval,
        version=spec.version,
        unit=spec.unit,
        direction=spec.direction,
        aggregation=f"{rule.value}; {interval_method(len(set(clusters)), rule)}",
        n_cases=len(scored),
        n_clusters=len({case.cluster for case, _ in scored}),
        n_frames=sum(score.n_frames for _, score in scored),
        n_infinite=sum(score.n_infinite for _, score in scored),
        coverage=sum(1.0 if score.coverage is None else score.coverage for _, score in scored) / num_planned,
        state=state,
        reason=reason,
    )


def _frame_weighted(scores: Sequence[tuple[CaseScore, float]]) -> float | None:
    """Return the mean over clips, weighted by their numbers of finite scores; None if there is none."""
    weights = [score.n_frames - score.n_infinite for score, _ in scores]
    if not any(weights):
        return None
    return sum(w * value for w, (_, value) in zip(weights, scores, strict=True)) / sum(weights)


def _verdict(
    cases: Sequence[CaseResult], num_planned: int, spec: MetricSpec, num_finite: int, num_clusters: int
) -> tuple[State, str | None]:
    """Return the state of the summary and its reason in one line."""
    scores: Mapping[str, CaseScore] = {case.clip_id: case.metrics[spec.id] for case in cases}
    missing = num_planned - len(cases)
    broken = [score for score in scores.values() if score.state not in _WITH_SCORE]
    partial = [score for score in scores.values() if score.state == "partial"]
    infinite = 0 if spec.scope == "set" else len(scores) - len(broken) - num_finite
    reasons = []
    if missing:
        reasons.append(f"{missing} of {num_planned} clips failed or are missing")
    if broken:
        reasons.append(f"{len(broken)} of {num_planned} clips have no score: {broken[0].reason}")
    if partial:
        reasons.append(f"{len(partial)} of {num_planned} clips in part: {partial[0].reason}")
    if infinite and not num_finite:
        reasons.append("infinite: every frame is identical to the real one")
    elif infinite:
        reasons.append(f"infinite on {infinite} clips (every frame identical), left out of the mean")
    elif num_clusters == 1:
        reasons.append("no interval: one cluster")
    elif 2 <= num_clusters < FEW_PERSONS:
        reasons.append(f"only {num_clusters} clusters: the interval is Student's t, and little is known")
    if not cases:
        return "failed", "; ".join(reasons)
    if len(broken) == len(scores):
        return broken[0].state, "; ".join(reasons)
    return ("partial" if missing or broken or partial else "ok"), "; ".join(reasons) or None
