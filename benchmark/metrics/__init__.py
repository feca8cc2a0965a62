"""Metrics: one file for each family, found by the names that a protocol lists.

A metric of another package implements `Metric` or `SetMetric` and is registered as an entry point; see
`benchmark/metrics/contract.py` and `examples/my_metric.py`.
"""

from __future__ import annotations

from benchmark.features.contract import CaseShape, FrameWindow
from benchmark.metrics.contract import (
    AnyMetric,
    ClipArrays,
    Metric,
    MetricFamily,
    MetricSpec,
    MetricState,
    SetMetric,
    SetScore,
)
from benchmark.metrics.frame_mean import FrameMean
from benchmark.metrics.registry import MetricError, families, family, get, members, names
from benchmark.results import CaseScore

__all__ = [
    "AnyMetric",
    "CaseScore",
    "CaseShape",
    "ClipArrays",
    "FrameMean",
    "FrameWindow",
    "Metric",
    "MetricError",
    "MetricFamily",
    "MetricSpec",
    "MetricState",
    "SetMetric",
    "SetScore",
    "families",
    "family",
    "get",
    "members",
    "names",
]
