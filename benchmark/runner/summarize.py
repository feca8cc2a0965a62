"""Numbers of a run from its stored cases; shared by runs, rescoring and validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from benchmark.analysis.collapse import collapse_of
from benchmark.analysis.drift import Floats, FrameScores, bins, curve
from benchmark.analysis.horizon import Lifetime, horizon, lifetime, shortest
from benchmark.analysis.robustness import robustness, unperturbed
from benchmark.features.contract import Arrays
from benchmark.metrics import AnyMetric
from benchmark.metrics.registry import metrics_of
from benchmark.protocols.perturbations import variants
from benchmark.protocols.protocol import CrossProtocol, Protocol, ProtocolError
from benchmark.results import CaseResult, Curve, LongForm, MetricSummary, RobustnessCurve
from benchmark.run_dir import RunDir
from benchmark.runner.aggregate import summaries
from benchmark.runner.codec_control import CodecControl
from benchmark.runner.scorer import read_features, read_frame_scores

# Name of the control in a protocol whose thresholds hold for the scores themselves.
NO_CONTROL = "none"


@dataclass(frozen=True)
class Numbers:
    """Numbers of a run."""

    metrics: dict[str, MetricSummary]
    drift: dict[str, Curve]
    long_form: LongForm | None
    robustness: dict[str, dict[str, RobustnessCurve]] | None


def summarize(
    folder: RunDir,
    protocol: Protocol,
    metrics: Sequence[AnyMetric],
    cases: Sequence[CaseResult],
    num_planned: int,
    control: CodecControl | None = None,
) -> Numbers:
    """Summarize the scored cases, sorted by clip id, of `num_planned` planned ones.

    Of a protocol with perturbed poses, all numbers but `robustness` are of the unperturbed cases.
    """
    rule = protocol.aggregation
    curves = None
    if protocol.robustness is not None:
        names = [metric.spec.id for metric in metrics]
        curves = robustness(cases, names, protocol.robustness, rule)
        cases = unperturbed(cases)
        num_planned //= 1 + len(list(variants(protocol.robustness)))
    per_frame = [
        metric.spec.id
        for metric in metrics
        if metric.spec.per_frame and any(case.metrics[metric.spec.id].state == "ok" for case in cases)
    ]

    def stored(case: CaseResult) -> dict[str, Arrays]:
        return {} if case.features is None else read_features(folder.path / case.features.path)

    return Numbers(
        metrics=summaries(metrics, cases, num_planned, rule, stored),
        drift={name: curve(_frame_scores(folder, cases, name), protocol.drift, rule) for name in per_frame},
        long_form=_long_form(folder, protocol, per_frame, cases, control) if cases else None,
        robustness=curves,
    )


def _long_form(
    folder: RunDir,
    protocol: Protocol,
    per_frame: Sequence[str],
    cases: Sequence[CaseResult],
    control: CodecControl | None,
) -> LongForm | None:
    """Return curves and horizons relative to the control, or absolute ones where the protocol has none."""
    rules, rule = protocol.drift, protocol.aggregation
    if control is None and (rules.control != NO_CONTROL or not rules.thresholds):
        return None
    clusters = [case.cluster for case in cases]
    drift, horizons = {}, {}
    lifetimes: dict[str, list[Lifetime]] = {}
    seconds: dict[str, list[Floats]] = {}
    for name in per_frame:
        if control is None and name not in rules.thresholds:
            continue
        clips = _frame_scores(folder, cases, name)
        if control is not None:
            clips = [
                FrameScores(clip.cluster, clip.fps, clip.scores - control.frame_scores(case.clip_id, name))
                for clip, case in zip(clips, cases, strict=True)
            ]
            drift[name] = curve(clips, rules, rule)
        if name in rules.thresholds:
            threshold = rules.thresholds[name]
            seconds[name] = [bins(clip.scores, clip.fps) for clip in clips]
            lifetimes[name] = [lifetime(each, threshold, rules.lasting_s) for each in seconds[name]]
            horizons[name] = horizon(lifetimes[name], threshold, rules.lasting_s, clusters, rule)
    found = LongForm(
        control=control.run.contestant.name if control else NO_CONTROL,
        revision=control.run.contestant.revision if control else NO_CONTROL,
        drift=drift,
        horizons=horizons,
    )
    if protocol.collapse is None or not lifetimes:
        return found
    together = [shortest(each) for each in zip(*lifetimes.values(), strict=True)]
    clip_ids = [case.clip_id for case in cases]
    return found.model_copy(
        update={
            "usable": horizon(together, None, rules.lasting_s, clusters, rule),
            "collapse": collapse_of(clip_ids, seconds, rules.thresholds, protocol.collapse),
        }
    )


def metrics_under(protocol: Protocol) -> list[AnyMetric]:
    """Return the metrics that a protocol names.

    Raises:
        ProtocolError: this version of the project lacks one, or has another version of it.
    """
    try:
        metrics = metrics_of(protocol.metrics, protocol.deltas)
    except LookupError as error:
        raise ProtocolError(
            f"protocol {protocol.name}: {error}: install the version it was made for"
        ) from error
    # A family such as csim has a metric against the portrait and one against the real frame; a case without
    # real frames has only the first. Only a cross-identity case has a driver of its own.
    cross = isinstance(protocol, CrossProtocol)
    return [m for m in metrics if not (m.spec.needs_real if cross else m.spec.needs_driver)]


def _frame_scores(folder: RunDir, cases: Sequence[CaseResult], metric: str) -> list[FrameScores]:
    return [
        FrameScores(case.cluster, Fraction(case.fps), read_frame_scores(folder.frames(case.clip_id), metric))
        for case in cases
    ]
