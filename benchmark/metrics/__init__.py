"""The metrics: one file each, found by the ids that a protocol names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from benchmark.features.regions import REGIONS
from benchmark.metrics.akd_target import AkdTarget
from benchmark.metrics.colour import ColourDifference
from benchmark.metrics.flicker import FlickerDifference
from benchmark.metrics.groups import GROUPS
from benchmark.metrics.keypoint_parts import PARTS
from benchmark.metrics.l1 import L1
from benchmark.metrics.lpips import Lpips
from benchmark.metrics.metric import (
    CaseShape,
    ClipArrays,
    Metric,
    MetricSpec,
    MetricState,
    SetMetric,
    SetScore,
)
from benchmark.metrics.mkr_target import MkrTarget
from benchmark.metrics.motion_ratio import MotionRatio
from benchmark.metrics.portrait_colour import PortraitColour
from benchmark.metrics.portrait_sharpness import PortraitSharpness
from benchmark.metrics.pose_motion import PoseMotion
from benchmark.metrics.psnr import Psnr
from benchmark.metrics.psnr_pooled import PsnrPooled
from benchmark.metrics.region_l1 import RegionL1
from benchmark.metrics.region_psnr import RegionPsnr
from benchmark.metrics.seam_change import SeamChange
from benchmark.metrics.seam_energy import SeamEnergy
from benchmark.metrics.sharpness import Sharpness
from benchmark.metrics.ssim import Ssim
from benchmark.metrics.tje import Tje
from benchmark.metrics.tje_skill import TjeSkill
from benchmark.metrics.warp_error import WarpError
from benchmark.metrics.window import PairWindow
from talkingpose.io.errors import UserError

__all__ = [
    "FAMILIES",
    "AnyMetric",
    "CaseShape",
    "ClipArrays",
    "Metric",
    "MetricError",
    "MetricSpec",
    "MetricState",
    "PairWindow",
    "SetMetric",
    "SetScore",
    "features_of",
    "get",
    "members",
    "metrics_of",
    "names",
]

AnyMetric = Metric | SetMetric

# A family gives one metric or several: one for each region, moment, or delta of the protocol.
FAMILIES: Mapping[str, Callable[[Sequence[int]], Sequence[AnyMetric]]] = {
    "psnr": lambda deltas: [Psnr()],
    "psnr_pooled": lambda deltas: [PsnrPooled()],
    "ssim": lambda deltas: [Ssim()],
    "l1": lambda deltas: [L1()],
    "lpips": lambda deltas: [Lpips()],
    "psnr_region": lambda deltas: [RegionPsnr(region) for region in REGIONS],
    "l1_region": lambda deltas: [RegionL1(region) for region in REGIONS],
    "tje": lambda deltas: [Tje(delta) for delta in deltas],
    "tje_skill": lambda deltas: [TjeSkill(delta) for delta in deltas],
    "motion_ratio": lambda deltas: [MotionRatio()],
    "flicker": lambda deltas: [FlickerDifference()],
    "warp_error": lambda deltas: [WarpError()],
    "seam_energy": lambda deltas: [SeamEnergy()],
    "colour": lambda deltas: [ColourDifference("mean"), ColourDifference("std")],
    "sharpness": lambda deltas: [Sharpness()],
    "akd_target": lambda deltas: [AkdTarget(part) for part in PARTS],
    "mkr_target": lambda deltas: [MkrTarget(part) for part in PARTS],
    "pose_motion": lambda deltas: [PoseMotion()],
    "portrait_colour": lambda deltas: [PortraitColour("mean"), PortraitColour("std")],
    "portrait_sharpness": lambda deltas: [PortraitSharpness()],
    "seam_change": lambda deltas: [SeamChange()],
    **{name: family for group in GROUPS.values() for name, family in group.items()},
}


# Those of the bundled protocols.
DEFAULT_DELTAS = (1, 2, 4, 8, 16, 32, 64)


class MetricError(UserError, LookupError):
    """A metric is unknown."""


def names() -> list[str]:
    """Return the ids of all metrics, such as `psnr` and `tje@2`."""
    return [metric.spec.id for make in FAMILIES.values() for metric in make(DEFAULT_DELTAS)]


def get(metric_id: str) -> AnyMetric:
    """Return a metric by its id, such as `psnr`, `psnr.face` or `tje@2`.

    Raises:
        MetricError: there is no such metric.

    Example:
        >>> from benchmark import metrics
        >>> spec = metrics.get("tje@2").spec
        >>> spec.unit, spec.direction, spec.lookback
        ('level', 'lower', 2)
    """
    for metric in _metrics_near(metric_id):
        if metric.spec.id == metric_id:
            return metric
    close = difflib.get_close_matches(metric_id, names(), n=3)
    hint = f"did you mean {', '.join(close)}?" if close else "tp-eval ls metrics lists them"
    raise MetricError(f"metric {metric_id!r}: unknown: {hint}")


def members(name: str) -> Sequence[AnyMetric]:
    """Return the metrics of a family, or the one metric of an id.

    Raises:
        MetricError: there is no such family and no such metric.
    """
    return FAMILIES[name](DEFAULT_DELTAS) if name in FAMILIES else [get(name)]


def _metrics_near(metric_id: str) -> Iterator[AnyMetric]:
    delta = metric_id.rpartition("@")[2]
    deltas = (int(delta),) if re.fullmatch(r"[1-9][0-9]{0,5}", delta) else DEFAULT_DELTAS
    for make in FAMILIES.values():
        yield from make(deltas)


def features_of(families: Iterable[str], deltas: Sequence[int]) -> tuple[str, ...]:
    """Ids of the features that the metrics of these families read; a family that is not known reads none."""
    metrics = [metric for name in families if name in FAMILIES for metric in FAMILIES[name](deltas)]
    return tuple(dict.fromkeys(name for metric in metrics for name in metric.spec.reads))


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
