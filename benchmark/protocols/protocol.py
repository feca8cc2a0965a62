"""Protocols: frozen, versioned rules under which numbers are comparable, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from benchmark.errors import EvaluationError
from benchmark.results import ProtocolRef
from benchmark.rules import Aggregation, Rules
from talkingpose.io.documents import parse_yaml, read_yaml


class ProtocolError(EvaluationError):
    """A protocol is unknown, or this version cannot follow its file."""


class Admission(Rules):
    """Admission of clips: those of at least `min_frames` frames, and of at least `min_seconds`.

    Of a clip that is longer than `max_seconds`, the frames after that are left out. With `width` and
    `height`, only clips that are stored at this size are admitted.
    """

    min_frames: int = Field(gt=0)
    min_seconds: int | None = Field(None, gt=0)
    max_seconds: int | None = Field(None, gt=0)
    width: int | None = Field(None, gt=0)
    height: int | None = Field(None, gt=0)

    def admits(self, num_frames: int, fps: Fraction, width: int, height: int) -> bool:
        """Return whether a clip of this length, rate and stored size is admitted."""
        long_enough = num_frames >= self.min_frames and num_frames / fps >= (self.min_seconds or 0)
        return long_enough and self.width in (None, width) and self.height in (None, height)

    def describe(self) -> str:
        """Return what a clip needs, such as "101 frames"."""
        length = f"{self.min_frames} frames" if self.min_seconds is None else f"{self.min_seconds} seconds"
        return length if self.width is None else f"{length} and the size of {self.width}x{self.height}"


class Part(Rules):
    """Part of the admitted clips: the first `clips` by clip id, and the first `frames` frames of each."""

    clips: int = Field(gt=0)
    frames: int = Field(gt=0)


class SizeRule(Rules):
    """Size at which a clip is generated and scored.

    A clip keeps its stored size where its longer side is at most `max_side` pixels and both sides are
    multiples of `multiple`. Every other clip is scaled down by the named filter, never up.
    """

    max_side: int = Field(gt=0)
    multiple: int = Field(gt=0)
    filter: Literal["bicubic"]

    def apply(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height, in pixels, at which a clip of the given size is evaluated.

        Both sides are scaled by the same factor and rounded to the nearest multiple, or to the next lower one
        where the nearest exceeds the stored side or `max_side`.

        Raises:
            ProtocolError: a side is shorter than one multiple.
        """
        if min(width, height) < self.multiple:
            raise ProtocolError(
                f"{width}x{height} pixels: smaller than {self.multiple} per side: remove the clip"
            )
        factor = min(1.0, self.max_side / max(width, height))
        return self._side(width, factor), self._side(height, factor)

    def _side(self, side: int, factor: float) -> int:
        nearest = round(side * factor / self.multiple)
        largest = min(side, self.max_side) // self.multiple
        return max(1, min(nearest, largest)) * self.multiple


class DriftRule(Rules):
    """Rule that turns the scores of frames into a curve over time, next to a control.

    `thresholds` maps metric ids to the allowed difference from the control, or from 0 where `control` is
    `none`. A second is out of bounds below a negative threshold or above a positive one; a clip is after
    `lasting_s` such seconds.
    """

    bin_seconds: Literal[1]
    incomplete_bins: Literal["dropped"]
    slope: Literal["theil-sen over the bins of each clip, per 100 frames, mean over clips"]
    min_bins: int = Field(ge=2)
    control: str
    lasting_s: int = Field(ge=1)
    thresholds: Mapping[str, float]


class CollapseRule(Rules):
    """Rule of collapse (`benchmark/analysis/collapse.py`), with the thresholds of the drift rule.

    A clip collapses at the second from which at least `share` of its remaining seconds, `lasting_s` or more,
    are out of bounds relative to the median of its first `baseline_s` seconds.
    """

    baseline_s: int = Field(ge=1)
    lasting_s: int = Field(ge=1)
    share: float = Field(gt=0, le=1)


# Version of the code of perturbed poses.
PERTURBATIONS_VERSION = 1
PerturbationKind = Literal["noise", "missing", "late", "scale"]


class RobustnessRule(Rules):
    """Rule that repeats every clip with perturbed poses (`benchmark/protocols/perturbations.py`).

    `strengths` maps kinds to up to nine strengths each. Metrics see the unperturbed poses.
    """

    seed: int
    strengths: Mapping[PerturbationKind, tuple[float, ...]]


class Protocol(Rules):
    """Every rule that changes a number; clips and contestant are not part of it."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.+_-]*$", max_length=200)
    version: int = Field(gt=0)
    title: str
    task: Literal["self-reenactment", "cross-identity"]
    reference: Literal["frame 0, as decoded and scaled"]
    alignment: Literal[
        "frame t with frame t, equal counts demanded",
        "frame t with pose t of the driving clip, equal counts demanded",
    ]
    admission: Admission
    part: Part | None = None
    size: SizeRule
    metrics: Mapping[str, int]
    deltas: tuple[int, ...]
    # Metrics that `compare` judges first. They change no number, so the hash leaves them out.
    primary: tuple[str, ...] = ()
    aggregation: Aggregation
    drift: DriftRule
    collapse: CollapseRule | None = None
    robustness: RobustnessRule | None = None

    @property
    def name(self) -> str:
        """Name on the command line, such as `tp-long@2`."""
        return f"{self.id}@{self.version}"

    def sha256(self) -> str:
        """Return the SHA-256, in hex, over the canonical JSON of everything that changes a number.

        It covers all rules but the title, the decoder policy, versions and weights of the features that the
        metrics read, and the packages of metrics that other packages register.

        Raises:
            MetricError: a metric of another package cannot be loaded.
        """
        from benchmark.features.registry import identity
        from benchmark.metrics.registry import features_of, foreign
        from talkingpose.media import DECODER_POLICY

        # A rule that a protocol lacks is not hashed: frozen protocols keep their hash when rules are added.
        rules: dict[str, Any] = self.model_dump(mode="json", exclude={"title", "primary"}, exclude_none=True)
        rules["decoder"] = DECODER_POLICY.describe()
        rules["features"] = identity(features_of(self.metrics, self.deltas))
        if packages := foreign(self.metrics):
            rules["packages"] = packages
        rules |= self._further_rules()
        canonical = json.dumps(rules, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _further_rules(self) -> dict[str, Any]:
        """Return versions of code that changes a number and is named in no rule."""
        return {} if self.robustness is None else {"perturbations": PERTURBATIONS_VERSION}

    def reference_of_run(self) -> ProtocolRef:
        """Return the reference that a run stores."""
        return ProtocolRef(id=self.id, version=self.version, sha256=self.sha256())


class CrossProtocol(Protocol):
    """Portrait of one clip and poses of another person's clip, without real frames to compare with.

    A case has the size of the portrait's clip, and the rate, length and poses of the driving clip. With
    `retarget`, poses are adapted to the proportions of the portrait (`talkingpose/pose/retarget.py`) before
    contestant and metrics receive them.
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
    """Return the names of the bundled protocols, sorted."""
    found = (files("benchmark") / "protocols").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in found if entry.name.endswith(".yaml"))


def load_protocol(name: str) -> Protocol:
    """Read a protocol.

    Args:
        name: of a bundled protocol, such as `tp-long@2`, or the path of a YAML file. Groups and families of
            metrics can be added to a bundled protocol: `tp-long+pose+my_metric@2` is a protocol of its own,
            with its own hash. The order of the additions does not matter.

    Raises:
        ProtocolError: the protocol, group or metric is unknown, or the file is invalid.
        MetricError: a metric of another package cannot be loaded.
    """
    from benchmark.metrics.registry import GROUPS, families

    if name.endswith((".yaml", ".yml")):
        return _read_file(Path(name))
    head, at, version = name.partition("@")
    plain, *added = head.split("+")
    known = protocol_names()
    unknown = next((each for each in added if each not in GROUPS and each not in families()), None)
    if f"{plain}{at}{version}" not in known or unknown is not None:
        raise ProtocolError(
            f"protocol {name!r}: unknown: choose one of {', '.join(known)} or a YAML file; before the @, add "
            f"{', '.join(f'+{group}' for group in GROUPS)} or +METRIC"
        )
    protocol = _read_bundled(f"{plain}{at}{version}")
    groups = [group for group in GROUPS if group in added]
    return _extended(protocol, [*groups, *sorted(set(added) - GROUPS.keys())]) if added else protocol


def _extended(protocol: Protocol, added: Sequence[str]) -> Protocol:
    """Return a protocol with more groups and families of metrics."""
    from benchmark.metrics.registry import GROUPS, versions_of

    versions = versions_of(name for each in added for name in GROUPS.get(each, (each,)))
    if isinstance(protocol, CrossProtocol):
        versions = _without_real_frames(protocol, added, versions)
    else:
        _check_no_driver(protocol, versions)
    rules = protocol.model_dump() | {
        "id": "+".join([protocol.id, *added]),
        "title": f"{protocol.title}; with metrics of {', '.join(added)}",
        "metrics": {**protocol.metrics, **versions},
    }
    return type(protocol).model_validate(rules)


def _without_real_frames(
    protocol: CrossProtocol, added: Sequence[str], versions: Mapping[str, int]
) -> dict[str, int]:
    """Return the families with a metric that needs no real frame."""
    from benchmark.metrics.registry import family

    kept = {
        name: version
        for name, version in versions.items()
        if any(not metric.spec.needs_real for metric in family(name))
    }
    if not kept:
        raise ProtocolError(
            f"protocol {protocol.name}: every metric of {', '.join(added)} needs real frames, which a "
            "cross-identity case lacks: do not add it"
        )
    return kept


def _check_no_driver(protocol: Protocol, families: Iterable[str]) -> None:
    """Refuse families of which every metric needs the driving clip of another person."""
    from benchmark.metrics.registry import family

    for name in families:
        if all(metric.spec.needs_driver for metric in family(name)):
            raise ProtocolError(
                f"protocol {protocol.name}: {name} needs the driving clip of another person: add it to a "
                "cross-identity protocol, such as tp-cross@2"
            )


def _read_bundled(name: str) -> Protocol:
    text = (files("benchmark") / "protocols" / f"{name}.yaml").read_text(encoding="utf-8")
    return _validated(parse_yaml(text, f"protocol {name}"), f"protocol {name}", "install the project again")


def _read_file(path: Path) -> Protocol:
    protocol = _validated(read_yaml(path, "protocol"), f"protocol {path}", "correct the file")
    if protocol.name in protocol_names():
        raise ProtocolError(f"protocol {path}: id {protocol.id}: the name of a bundled protocol: change it")
    return protocol


def _validated(rules: Any, where: str, remedy: str) -> Protocol:
    if not isinstance(rules, dict):
        raise ProtocolError(f"{where}: not a mapping of rules: {remedy}")
    kind = CrossProtocol if rules.get("task") == "cross-identity" else Protocol
    try:
        return kind.model_validate(rules)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProtocolError(f"{where}: {place}: {first['msg']}: {remedy}") from error
