"""Plan of a run: its clips, their sizes, lengths and keys, and the batches."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.errors import EvaluationError
from benchmark.protocols.perturbations import case_id, variants
from benchmark.protocols.protocol import CrossProtocol, PerturbationKind, Protocol
from benchmark.results import AuditEntry
from talkingpose.data.clips import Clip, ClipDataset, fingerprint
from talkingpose.data.contestant import ContestantInfo, case_seed
from talkingpose.data.schema import DatasetError
from talkingpose.media import VideoReader

DEFAULT_SPLIT = "test"


@dataclass(frozen=True)
class Pair:
    """Portrait and driving clip of a cross-reenactment case; `retarget` adapts the poses to the portrait."""

    portrait: Clip
    driving: Clip
    retarget: bool


@dataclass(frozen=True)
class Perturbation:
    """Perturbed poses of a clip of the dataset; `seed` is that of the protocol."""

    clip: Clip
    kind: PerturbationKind
    strength: float
    seed: int


@dataclass(frozen=True)
class PlannedCase:
    """Clip to generate and score, with its size in pixels and number of frames under the protocol.

    In cross-reenactment `clip` is in no dataset: it has size, person and split of the portrait clip, length
    and rate of the driving clip, and an id and a hash over both.
    """

    clip: Clip
    width: int
    height: int
    num_frames: int
    seed: int
    pair: Pair | None = None
    perturbation: Perturbation | None = None

    @property
    def scaled(self) -> bool:
        """Return whether the protocol changes the size of the clip."""
        return (self.width, self.height) != (self.clip.width, self.clip.height)


@dataclass(frozen=True)
class RunPlan:
    """Clips of a run, sorted by clip id, with audit entries of their selection."""

    split: str
    cases: tuple[PlannedCase, ...]
    audit: tuple[AuditEntry, ...]
    cases_sha256: str

    @property
    def num_frames(self) -> int:
        """Number of frames over all clips."""
        return sum(case.num_frames for case in self.cases)


def plan_run(
    dataset: ClipDataset,
    protocol: Protocol,
    *,
    split: str | None,
    limit: int | None,
    max_frames: int | None,
    seed: int,
) -> RunPlan:
    """Select the clips of a run and check their files.

    Args:
        dataset: dataset of the run.
        protocol: protocol of the run.
        split: split to use; None for `test` if it has clips that the protocol admits, else all splits.
        limit: use only the first clips by clip id.
        max_frames: use only the first frames of each clip.
        seed: seed of the run.

    Raises:
        EvaluationError: a limit is invalid, or the protocol admits no clip.
        DatasetError: a row of the dataset is invalid.
        MediaError: the video of a chosen clip cannot be opened.
    """
    _check_limits(protocol, limit, max_frames)
    part = protocol.part
    shown_limit, shown_frames = limit, max_frames
    if part is not None:
        limit = part.clips if limit is None else min(limit, part.clips)
        max_frames = part.frames if max_frames is None else min(max_frames, part.frames)
    label, clips = _choose_split(dataset, protocol, split)
    admitted, refused = _admit(clips, protocol)
    if not admitted:
        rule = protocol.admission
        remedy = "give another split" if rule.width is None else "tp-eval import writes such clips"
        raise EvaluationError(
            f"dataset {dataset.location}, split {label}: none of {len(clips)} clips has the "
            f"{rule.describe()} that {protocol.name} requires: {remedy}"
        )
    if isinstance(protocol, CrossProtocol):
        chosen, number, unpaired = _paired(dataset, admitted, protocol, label, limit)
    else:
        chosen = [(_examined(dataset, clip), None) for clip in admitted[:limit]]
        number, unpaired = len(admitted), []
    planned = [_planned(clip, protocol, max_frames, seed, pair) for clip, pair in chosen]
    every = [case for each in planned for case in _perturbed(each, protocol)]
    cases = tuple(sorted(every, key=lambda case: case.clip.clip_id))
    audit = [
        *(_left_out(clip, protocol) for clip in refused),
        *unpaired,
        *(_scaled(case, protocol) for case in cases if case.scaled and case.perturbation is None),
        *_limited(number, shown_limit, shown_frames),
    ]
    return RunPlan(label, cases, tuple(audit), fingerprint([case.clip for case in cases]))


def planning_rules(protocol: Protocol, max_frames: int | None) -> Protocol:
    """Return the protocol with an admission that fits a smoke run of so few frames; else the protocol itself.

    The result serves to choose clips only: the hash of a run is always that of the protocol itself.
    """
    if max_frames is None or not 0 < max_frames < protocol.admission.min_frames:
        return protocol
    admission = protocol.admission.model_copy(update={"min_frames": max_frames, "min_seconds": None})
    return protocol.model_copy(update={"admission": admission})


def batches(cases: Sequence[PlannedCase], batch_size: int) -> Iterator[tuple[PlannedCase, ...]]:
    """Yield groups of at most `batch_size` cases of one frame size, in the order of their clip ids.

    The groups come from the whole plan, whatever is finished: a clip that is generated again after an
    interruption is in the same group, because the bits may depend on the size of the batch.
    """
    by_size: dict[tuple[int, int], list[PlannedCase]] = {}
    for case in cases:
        by_size.setdefault((case.width, case.height), []).append(case)
    for group in by_size.values():
        for first in range(0, len(group), batch_size):
            yield tuple(group[first : first + batch_size])


def case_key(
    case: PlannedCase,
    *,
    protocol_sha256: str,
    contestant: ContestantInfo,
    metric_versions: dict[str, int],
    max_frames: int | None,
    project_version: str,
    prediction: str | None = None,
) -> str:
    """Return the SHA-256, in hex, over everything that the numbers of a case depend on.

    `prediction` is the hash of a finished video; it replaces the revision, which covers the whole folder.
    """
    facts: dict[str, Any] = {
        "protocol": protocol_sha256,
        "contestant": [contestant.name, prediction or contestant.revision, dict(contestant.args)],
        "weights": [[weight.name, weight.sha256] for weight in contestant.weights],
        "clip": [case.clip.clip_id, case.clip.sha256, str(case.clip.fps)],
        "frames": [case.width, case.height, case.num_frames],
        "seed": case.seed,
        "max_frames": max_frames,
        "metrics": metric_versions,
        "project": project_version,
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _check_limits(protocol: Protocol, limit: int | None, max_frames: int | None) -> None:
    if limit is not None and limit < 1:
        raise EvaluationError(f"--limit {limit}: give a number of clips from 1")
    if max_frames is not None and max_frames < protocol.admission.min_frames:
        raise EvaluationError(
            f"--max-frames {max_frames}: {protocol.name} requires {protocol.admission.min_frames} or more; "
            "--smoke allows fewer, for a trial"
        )


def _choose_split(dataset: ClipDataset, protocol: Protocol, split: str | None) -> tuple[str, list[Clip]]:
    if split is not None:
        return split, dataset.clips(split)
    if DEFAULT_SPLIT in dataset.splits:
        clips = dataset.clips(DEFAULT_SPLIT)
        if _admit(clips, protocol)[0]:
            return DEFAULT_SPLIT, clips
    everything = [clip for name in dataset.splits for clip in dataset.clips(name)]
    everything.sort(key=lambda clip: clip.clip_id)
    duplicate = _first_duplicate(clip.clip_id for clip in everything)
    if duplicate is not None:
        raise DatasetError(
            f"dataset {dataset.location}: clip id {duplicate} is in two splits: give --split, or curate again"
        )
    return "+".join(dataset.splits), everything


def _first_duplicate(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _admit(clips: Sequence[Clip], protocol: Protocol) -> tuple[list[Clip], list[Clip]]:
    """Return the clips that the protocol admits, and the others."""
    rule = protocol.admission
    admitted = [clip for clip in clips if rule.admits(clip.num_frames, clip.fps, *clip.size)]
    known = {clip.clip_id for clip in admitted}
    return admitted, [clip for clip in clips if clip.clip_id not in known]


def _examined(dataset: ClipDataset, clip: Clip) -> Clip:
    """Return the clip with the hash of its file, if the file fits the row."""
    where = f"dataset {dataset.location}, clip {clip.clip_id}"
    data = dataset.video(clip)
    sha256 = hashlib.sha256(data).hexdigest()
    if clip.sha256 is not None and clip.sha256 != sha256:
        raise DatasetError(f"{where}: its video is not the one its sha256 names: copy the dataset again")
    info = VideoReader(data, name=f"{where}, video").info
    if (info.width, info.height) != (clip.width, clip.height):
        raise DatasetError(
            f"{where}: its video is {info.width}x{info.height}, its row says {clip.width}x{clip.height}: "
            "curate the clip again"
        )
    return dataclasses.replace(clip, sha256=sha256)


def _paired(
    dataset: ClipDataset, clips: Sequence[Clip], protocol: CrossProtocol, split: str, limit: int | None
) -> tuple[list[tuple[Clip, Pair | None]], int, list[AuditEntry]]:
    """Return the first pairs by case id, the number of pairs, and audit entries of unpaired clips."""
    from benchmark.protocols.pairs import case_id as pair_id
    from benchmark.protocols.pairs import choose_pairs

    found, audit = choose_pairs(dataset, clips, protocol)
    if not found:
        raise EvaluationError(
            f"dataset {dataset.location}, split {split}: {len(clips)} clips, no two of different people "
            f"and equal aspect for {protocol.name}: give another split"
        )
    found.sort(key=lambda pair: pair_id(*pair))
    examined = {clip.clip_id: clip for pair in found[:limit] for clip in pair}
    examined = {clip_id: _examined(dataset, clip) for clip_id, clip in examined.items()}
    chosen: list[tuple[Clip, Pair | None]] = []
    for portrait, driving in ((examined[p.clip_id], examined[d.clip_id]) for p, d in found[:limit]):
        both = hashlib.sha256(f"{portrait.sha256} {driving.sha256}".encode()).hexdigest()
        made = dataclasses.replace(
            portrait,
            clip_id=pair_id(portrait, driving),
            fps=driving.fps,
            num_frames=driving.num_frames,
            sha256=both,
        )
        chosen.append((made, Pair(portrait, driving, protocol.retarget)))
    return chosen, len(found), audit


def _planned(
    clip: Clip, protocol: Protocol, max_frames: int | None, seed: int, pair: Pair | None
) -> PlannedCase:
    width, height = protocol.size.apply(clip.width, clip.height)
    limits = [clip.num_frames]
    if max_frames is not None:
        limits.append(max_frames)
    if protocol.admission.max_seconds is not None:
        limits.append(math.floor(protocol.admission.max_seconds * clip.fps))
    num_frames = min(limits)
    return PlannedCase(clip, width, height, num_frames, case_seed(seed, clip.clip_id), pair)


def _perturbed(case: PlannedCase, protocol: Protocol) -> Iterator[PlannedCase]:
    """Yield a case and, where the protocol perturbs poses, its perturbed copies: by id, with its seed."""
    yield case
    if protocol.robustness is not None:
        rule, clip = protocol.robustness, case.clip
        for kind, level, strength in sorted(variants(rule)):
            made = dataclasses.replace(clip, clip_id=case_id(clip.clip_id, kind, level))
            yield dataclasses.replace(
                case, clip=made, perturbation=Perturbation(clip, kind, strength, rule.seed)
            )


def _left_out(clip: Clip, protocol: Protocol) -> AuditEntry:
    rule = protocol.admission
    size = "" if rule.width is None else f", {clip.width}x{clip.height}"
    message = f"left out: {clip.num_frames} frames{size}, {protocol.name} requires {rule.describe()}"
    kind = "other-size" if rule.width not in (None, clip.width) else "too-short"
    return AuditEntry(kind=kind, clip_id=clip.clip_id, message=message)


def _scaled(case: PlannedCase, protocol: Protocol) -> AuditEntry:
    message = (
        f"scaled from {case.clip.width}x{case.clip.height} to {case.width}x{case.height}, "
        f"{protocol.size.filter}, before anything is generated or scored"
    )
    return AuditEntry(kind="scaled", clip_id=case.clip.clip_id, message=message)


def _limited(num_admitted: int, limit: int | None, max_frames: int | None) -> list[AuditEntry]:
    entries = []
    if limit is not None:
        message = f"the first {min(limit, num_admitted)} of {num_admitted} admitted clips by clip id"
        entries.append(AuditEntry(kind="limit", message=message))
    if max_frames is not None:
        message = f"at most {max_frames} frames of each clip"
        entries.append(AuditEntry(kind="max-frames", message=message))
    return entries
