"""Groups of metrics that cost much or need weights: a protocol takes them on when its name says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmark.metrics.aed import Aed
from benchmark.metrics.akd import Akd
from benchmark.metrics.akd_shoulder import AkdShoulder
from benchmark.metrics.csim import Csim
from benchmark.metrics.fid import Fid
from benchmark.metrics.fvd import Fvd
from benchmark.metrics.fvd_third import THIRDS, FvdThird
from benchmark.metrics.hkc import Hkc
from benchmark.metrics.hkv import Hkv
from benchmark.metrics.identity import TARGETS
from benchmark.metrics.keypoint_parts import PARTS
from benchmark.metrics.kid import Kid
from benchmark.metrics.metric import Metric, SetMetric
from benchmark.metrics.mkr import Mkr

Family = Callable[[Sequence[int]], Sequence[Metric | SetMetric]]

GROUPS: Mapping[str, Mapping[str, Family]] = {
    "pose": {
        "akd": lambda deltas: [Akd(part) for part in PARTS],
        "akd_shoulder": lambda deltas: [AkdShoulder(part) for part in PARTS],
        "mkr": lambda deltas: [Mkr(part) for part in PARTS],
        "hkc": lambda deltas: [Hkc()],
        "hkv": lambda deltas: [Hkv("amount"), Hkv("ratio")],
    },
    "identity": {
        "csim": lambda deltas: [Csim("sface", target) for target in TARGETS],
        "csim-arcface": lambda deltas: [Csim("arcface", target) for target in TARGETS],
        "aed": lambda deltas: [Aed(target) for target in TARGETS],
    },
    "distribution": {
        "fid": lambda deltas: [Fid()],
        "kid": lambda deltas: [Kid()],
        "fvd": lambda deltas: [Fvd()],
        "fvd_third": lambda deltas: [FvdThird(third) for third in THIRDS],
    },
}


def versions_of(group: str) -> dict[str, int]:
    """The families of a group with their versions in this version of the project."""
    return {name: family(())[0].spec.version for name, family in GROUPS[group].items()}
