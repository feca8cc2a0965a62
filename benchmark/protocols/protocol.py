"""Protocols: frozen, versioned rules under which numbers may be compared, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field, ValidationError

from benchmark.errors import EvaluationError
from benchmark.results import ProtocolRef
from benchmark.rules import Aggregation, Rules


class ProtocolError(EvaluationError):
    """A protocol is unknown, or its file is not what this version can follow."""


class Admission(Rules):
    """Which clips take part: those of at least `min_frames` frames."""

    min_frames: int = Field(gt=0)


class SizeRule(Rules):
    """The size at which a clip is generated and scored.

    A clip keeps its stored size where its longer side is at most `max_side` pixels and both sides are
    multiples of `multiple`. Every other clip is scaled, down and never up, by the named filter.
    """

    max_side: int = Field(gt=0)
    multiple: int = Field(gt=0)
    filter: Literal["bicubic"]

    def apply(self, width: int, height: int) -> tuple[int, int]:
        """Width and height, in pixels, at which a clip of the given size is evaluated.

        Each side is scaled by the same factor, then rounded to the nearest multiple, and to the next lower
        one where the nearest would exceed the stored side or `max_side`.

        Raises:
            ProtocolError: a side is shorter than one multiple.
        """
        if min(width, height) < self.multiple:
            raise ProtocolError(
                f"{width}x{height} pixels is too small, {self.multiple} a side is least: leave the clip out"
            )
        factor = min(1.0, self.max_side / max(width, height))
        return self._side(width, factor), self._side(height, factor)

    def _side(self, side: int, factor: float) -> int:
        nearest = round(side * factor / self.multiple)
        largest = min(side, self.max_side) // self.multiple
        return max(1, min(nearest, largest)) * self.multiple


class DriftRule(Rules):
    """How a per-frame score becomes a curve over time, and what it is measured against.

    `thresholds` hold, by metric id, how far a score may be from that of the control: below a negative one and
    above a positive one the frame is out of bounds, and after `lasting_s` such seconds the clip is.
    """

    bin_seconds: Literal[1]
    incomplete_bins: Literal["dropped"]
    slope: Literal["theil-sen over the bins of each clip, per 100 frames, mean over clips"]
    min_bins: int = Field(ge=2)
    control: str
    lasting_s: int = Field(ge=1)
    thresholds: Mapping[str, float]


class Protocol(Rules):
    """Everything that moves a number, apart from the clips and the contestant."""

    id: str
    version: int = Field(gt=0)
    title: str
    task: Literal["self-reenactment", "cross-identity"]
    reference: Literal["frame 0, as decoded and scaled"]
    alignment: Literal[
        "frame t with frame t, equal counts demanded",
        "frame t with pose t of the driving clip, equal counts demanded",
    ]
    admission: Admission
    size: SizeRule
    metrics: Mapping[str, int]
    deltas: tuple[int, ...]
    # Metrics that `compare` judges first. They change no number, so the hash leaves them out.
    primary: tuple[str, ...] = ()
    aggregation: Aggregation
    drift: DriftRule

    @property
    def name(self) -> str:
        """As on the command line: `tp-long@1`."""
        return f"{self.id}@{self.version}"

    def sha256(self) -> str:
        """SHA-256, in hex, over the canonical JSON of everything below that moves a number.

        All rules but the title, the decoder policy, and versions and weights of the features that the
        metrics read.
        """
        from benchmark.features import identity
        from benchmark.metrics import features_of
        from talkingpose.media import DECODER_POLICY

        rules: dict[str, Any] = self.model_dump(mode="json", exclude={"title", "primary"})
        rules["decoder"] = DECODER_POLICY.describe()
        rules["features"] = identity(features_of(self.metrics, self.deltas))
        rules |= self._further_rules()
        canonical = json.dumps(rules, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _further_rules(self) -> dict[str, Any]:
        """Versions of code that moves a number and stands in no rule."""
        return {}

    def reference_of_run(self) -> ProtocolRef:
        """How a run names this protocol."""
        return ProtocolRef(id=self.id, version=self.version, sha256=self.sha256())


class CrossProtocol(Protocol):
    """The portrait of one clip, the poses of another person's: there are no real frames to compare with.

    A case has the size of the portrait's clip, and rate, length and poses of the driving one. `retarget` says
    whether the poses are given the portrait's proportions (`talkingpose/pose/retarget.py`) before contestant
    and metrics see them.
    """

    task: Literal["cross-identity"]
    alignment: Literal["frame t with pose t of the driving clip, equal counts demanded"]
    pairs: Literal["cross.csv of the dataset, else each clip once in either role, by hash, people apart"]
    aspect: Literal["pairs of equal aspect at the size of the protocol alone"]
    retarget: bool

    def _further_rules(self) -> dict[str, Any]:
        from talkingpose.pose.retarget import VERSION

        return {"retargeting": VERSION if self.retarget else None}


def protocol_names() -> list[str]:
    """The names of all protocols of this version, sorted."""
    found = (files("benchmark") / "protocols").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in found if entry.name.endswith(".yaml"))


def load_protocol(name: str) -> Protocol:
    """Read a bundled protocol by its name, such as `tp-long@1`.

    `tp-long+pose+identity@1` is tp-long@1 with the metrics of two groups of `benchmark/metrics/groups.py`: a
    protocol of its own, with its own hash. The order of the groups does not matter.

    Raises:
        ProtocolError: there is no protocol or no group of that name.
    """
    from benchmark.metrics.groups import GROUPS

    head, at, version = name.partition("@")
    plain, *asked = head.split("+")
    known = protocol_names()
    if f"{plain}{at}{version}" not in known or not set(asked) <= GROUPS.keys():
        raise ProtocolError(
            f"protocol {name!r}: not known: choose one of {', '.join(known)}, "
            f"with {', '.join(f'+{group}' for group in GROUPS)} before the @ for more metrics"
        )
    protocol = _read_protocol(f"{plain}{at}{version}")
    groups = [group for group in GROUPS if group in asked]
    return _with_groups(protocol, groups) if groups else protocol


def _with_groups(protocol: Protocol, groups: Sequence[str]) -> Protocol:
    from benchmark.metrics.groups import versions_of

    added = {name: version for group in groups for name, version in versions_of(group).items()}
    if isinstance(protocol, CrossProtocol):
        added = _without_real_frames(protocol, groups, added)
    rules = protocol.model_dump() | {
        "id": "+".join([protocol.id, *groups]),
        "title": f"{protocol.title}; with metrics of {', '.join(groups)}",
        "metrics": {**protocol.metrics, **added},
    }
    return type(protocol).model_validate(rules)


def _without_real_frames(
    protocol: CrossProtocol, groups: Sequence[str], added: Mapping[str, int]
) -> dict[str, int]:
    """Of these families those with a metric that needs no real frame."""
    from benchmark.metrics import FAMILIES

    kept = {
        name: version
        for name, version in added.items()
        if any(not metric.spec.needs_real for metric in FAMILIES[name](()))
    }
    if not kept:
        raise ProtocolError(
            f"protocol {protocol.name}: no metric of {', '.join(groups)} can do without real frames, and a "
            "cross-identity case has none: leave the group out"
        )
    return kept


def _read_protocol(name: str) -> Protocol:
    import yaml

    text = (files("benchmark") / "protocols" / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        rules = yaml.safe_load(text)
        kind = CrossProtocol if rules.get("task") == "cross-identity" else Protocol
        protocol = kind.model_validate(rules)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ProtocolError(f"protocol {name}: {where}: {first['msg']}: install the project again") from error
    if protocol.name != name:
        raise ProtocolError(f"protocol {name}: its file says {protocol.name}: install the project again")
    return protocol
