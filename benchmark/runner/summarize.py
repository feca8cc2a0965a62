"""Numbers of a run from its stored cases; shared by runs, rescoring and validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from benchmark.analysis.drift import FrameScores, bins, curve
from benchmark.analysis.horizon import horizon, lifetime
from benchmark.features.contract import Arrays
from benchmark.metrics import AnyMetric
from benchmark.metrics.registry import metrics_of
from benchmark.protocols.protocol import CrossProtocol, Protocol, ProtocolError
from benchmark.results import CaseResult, Curve, LongForm, MetricSummary
from benchmark.run_dir import RunDir
from benchmark.runner.aggregate import summaries
from benchmark.runner.codec_control import CodecControl
from benchmark.runner.scorer import read_features, read_frame_scores


@dataclass(frozen=True)
class Numbers:
    """Numbers of a run."""

    metrics: dict[str, MetricSummary]
    drift: dict[str, Curve]
    long_form: LongForm | None


def summarize(
    folder: RunDir,
    protocol: Protocol,
    metrics: Sequence[AnyMetric],
    cases: Sequence[CaseResult],
    num_planned: int,
    control: CodecControl | None = None,
) -> Numbers:
    """Summarize the scored cases, sorted by clip id, of `num_planned` planned ones."""
    rule = protocol.aggregation
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
        long_form=_long_form(folder, protocol, per_frame, cases, control) if control and cases else None,
    )


def _long_form(
    folder: RunDir,
    protocol: Protocol,
    per_frame: Sequence[str],
    cases: Sequence[CaseResult],
    control: CodecControl,
) -> LongForm:
    rules = protocol.drift
    drift, horizons = {}, {}
    for name in per_frame:
        clips = [
            FrameScores(clip.cluster, clip.fps, clip.scores - control.frame_scores(case.clip_id, name))
            for clip, case in zip(_frame_scores(folder, cases, name), cases, strict=True)
        ]
        drift[name] = curve(clips, rules, protocol.aggregation)
        if name in rules.thresholds:
            threshold = rules.thresholds[name]
            lifetimes = [lifetime(bins(c.scores, c.fps), threshold, rules.lasting_s) for c in clips]
            horizons[name] = horizon(
                lifetimes, threshold, rules.lasting_s, [c.cluster for c in clips], protocol.aggregation
            )
    of = control.run.contestant
    return LongForm(control=of.name, revision=of.revision, drift=drift, horizons=horizons)


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
