"""The metrics: one file each, found by the ids that a protocol names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmark.metrics.metric import (
    CaseShape,
    ClipArrays,
    Metric,
    MetricSpec,
    MetricState,
    SetMetric,
    SetScore,
)
from benchmark.metrics.psnr import Psnr
from benchmark.metrics.psnr_pooled import PsnrPooled
from benchmark.metrics.ssim import Ssim
from benchmark.metrics.tje import Tje
from benchmark.metrics.window import PairWindow

__all__ = [
    "FAMILIES",
    "AnyMetric",
    "CaseShape",
    "ClipArrays",
    "Metric",
    "MetricSpec",
    "MetricState",
    "PairWindow",
    "SetMetric",
    "SetScore",
    "metrics_of",
]

AnyMetric = Metric | SetMetric

# A family gives one metric, or one for each delta of the protocol.
FAMILIES: Mapping[str, Callable[[Sequence[int]], Sequence[AnyMetric]]] = {
    "psnr": lambda deltas: [Psnr()],
    "psnr_pooled": lambda deltas: [PsnrPooled()],
    "ssim": lambda deltas: [Ssim()],
    "tje": lambda deltas: [Tje(delta) for delta in deltas],
}


def metrics_of(versions: Mapping[str, int], deltas: Sequence[int]) -> list[AnyMetric]:
    """The metrics that a protocol names, in its order.

    Args:
        versions: metric family -> version that the protocol demands.
        deltas: distances in frames of the families that have them.

    Raises:
        LookupError: there is no such metric, or only in another version.
    """
    found: list[AnyMetric] = []
    for name, version in versions.items():
        members = FAMILIES[name](deltas) if name in FAMILIES else ()
        if not members or any(member.spec.version != version for member in members):
            raise LookupError(f"no metric {name} of version {version} in this version of the project")
        found.extend(members)
    return found
