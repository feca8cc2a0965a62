"""What is stored of the cases of a run becomes its numbers; the one fold of a run, a rescore and a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from benchmark.aggregate import summaries
from benchmark.drift import FrameScores, curve
from benchmark.features import Arrays
from benchmark.folder import RunFolder
from benchmark.metrics import AnyMetric, metrics_of
from benchmark.protocol import Protocol, ProtocolError
from benchmark.recorder import read_features, read_frame_scores
from benchmark.results import Case, Curve, MetricSummary


@dataclass(frozen=True)
class Numbers:
    """The numbers of a run."""

    metrics: dict[str, MetricSummary]
    drift: dict[str, Curve]


def fold(
    folder: RunFolder,
    protocol: Protocol,
    metrics: Sequence[AnyMetric],
    cases: Sequence[Case],
    num_planned: int,
) -> Numbers:
    """Fold the cases that were scored, sorted by clip id, out of `num_planned`."""
    rule = protocol.aggregation

    def stored(case: Case) -> dict[str, Arrays]:
        return {} if case.features is None else read_features(folder.path / case.features.path)

    return Numbers(
        metrics=summaries(metrics, cases, num_planned, rule, stored),
        drift={
            metric.spec.id: curve(_frame_scores(folder, cases, metric.spec.id), protocol.drift, rule)
            for metric in metrics
            if metric.spec.per_frame and cases
        },
    )


def metrics_under(protocol: Protocol) -> list[AnyMetric]:
    """The metrics that a protocol names.

    Raises:
        ProtocolError: this version of the project has them not, or in another version.
    """
    try:
        return metrics_of(protocol.metrics, protocol.deltas)
    except LookupError as error:
        raise ProtocolError(
            f"protocol {protocol.name}: {error}: install the version it was made for"
        ) from error


def _frame_scores(folder: RunFolder, cases: Sequence[Case], metric: str) -> list[FrameScores]:
    return [
        FrameScores(case.cluster, Fraction(case.fps), read_frame_scores(folder.frames(case.clip_id), metric))
        for case in cases
    ]
