"""Pairs of portrait and driving clip for cross-identity protocols."""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections.abc import Sequence
from fractions import Fraction

from benchmark.protocols.protocol import CrossProtocol
from benchmark.results import AuditEntry
from talkingpose.data.clips import Clip, ClipDataset
from talkingpose.data.schema import DatasetError

LIST = "cross.csv"
_COLUMNS = ("portrait", "driving")

ClipPair = tuple[Clip, Clip]


def choose_pairs(
    dataset: ClipDataset, clips: Sequence[Clip], protocol: CrossProtocol
) -> tuple[list[ClipPair], list[AuditEntry]]:
    """Return portrait and driving clip of every case, and an entry for each clip that is left out.

    A dataset with a `cross.csv` is paired by it; pairs with a clip that is not among `clips` are left out. In
    any other dataset each clip is a portrait once and drives once, and the two clips of a pair share neither
    person nor source and have one aspect ratio. Clips of one person or source form a group, and the groups
    are ordered by hash. Each clip is driven by the clip that is as many places further on as the largest
    group has clips. A clip is therefore left out only where one group holds more than half of the clips of
    its aspect ratio, or no other group has its aspect ratio.

    Raises:
        DatasetError: the list has other columns, pairs a clip with itself, or names an unknown clip.
    """
    path = dataset.folder / LIST
    if path.is_file():
        pairs, audit = _listed(dataset, clips)
    else:
        pairs, audit = _deranged(clips, protocol)
    found = []
    for portrait, driving in pairs:
        if _aspect(portrait, protocol) == _aspect(driving, protocol):
            found.append((portrait, driving))
        else:
            audit.append(_left_out(f"{portrait.clip_id} and {driving.clip_id} differ in aspect ratio"))
    return found, audit


def case_id(portrait: Clip, driving: Clip) -> str:
    """Return the id of a pair: both clip ids, or their hashes where the ids are ambiguous or too long."""
    name = f"{portrait.clip_id}--{driving.clip_id}"
    if name.count("--") == 1 and len(name.encode()) <= 120 and "---" not in name:
        return name
    return "-".join(hashlib.sha256(clip.clip_id.encode()).hexdigest()[:32] for clip in (portrait, driving))


def _listed(dataset: ClipDataset, clips: Sequence[Clip]) -> tuple[list[ClipPair], list[AuditEntry]]:
    where = f"dataset {dataset.location}, {LIST}"
    try:
        with (dataset.folder / LIST).open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{where}: cannot be read ({error}): copy the dataset again") from error
    if not rows or tuple(rows[0]) != _COLUMNS or any(len(row) != len(_COLUMNS) for row in rows):
        raise DatasetError(f"{where}: needs the two columns {', '.join(_COLUMNS)}: correct the list")
    known = {clip.clip_id for split in dataset.splits for clip in dataset.clips(split)}
    chosen = {clip.clip_id: clip for clip in clips}
    pairs: list[ClipPair] = []
    audit = []
    for portrait, driving in dict.fromkeys((row[0], row[1]) for row in rows[1:]):
        if portrait == driving or not {portrait, driving} <= known:
            raise DatasetError(
                f"{where}: {portrait!r}, {driving!r} are not two clips of the dataset: correct the list"
            )
        if not {portrait, driving} <= chosen.keys():
            audit.append(_left_out(f"{portrait} and {driving} are not both among the clips of this run"))
        elif _related(chosen[portrait], chosen[driving]):
            audit.append(_left_out(f"{portrait} and {driving} belong to one person or source"))
        else:
            pairs.append((chosen[portrait], chosen[driving]))
    return pairs, audit


def _deranged(clips: Sequence[Clip], protocol: CrossProtocol) -> tuple[list[ClipPair], list[AuditEntry]]:
    pairs: list[ClipPair] = []
    audit = []
    by_aspect: dict[Fraction, list[Clip]] = {}
    for clip in clips:
        by_aspect.setdefault(_aspect(clip, protocol), []).append(clip)
    for members in by_aspect.values():
        groups = _groups(members)
        shift = max(map(len, groups))
        row = list(itertools.chain.from_iterable(groups))
        group_of = {clip.clip_id: number for number, group in enumerate(groups) for clip in group}
        for place, portrait in enumerate(row):
            driving = row[(place + shift) % len(row)]
            if group_of[portrait.clip_id] == group_of[driving.clip_id]:
                audit.append(
                    _left_out(f"{portrait.clip_id}: too few clips of other people with its aspect ratio")
                )
            else:
                pairs.append((portrait, driving))
    return pairs, audit


def _groups(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Return groups of clips that share a person or a source, also through other clips, ordered by hash."""
    home: dict[tuple[str, str | None], list[Clip]] = {}
    for clip in clips:
        joined = {id(home[key]): home[key] for key in _ties(clip) if key in home}
        merged = [clip, *itertools.chain.from_iterable(joined.values())]
        home |= {key: merged for member in merged for key in _ties(member)}
    groups = {id(group): group for group in home.values()}.values()
    return sorted((sorted(group, key=_order) for group in groups), key=lambda group: _order(group[0]))


def _related(one: Clip, other: Clip) -> bool:
    return not _ties(one).isdisjoint(_ties(other))


def _ties(clip: Clip) -> set[tuple[str, str | None]]:
    """Return the person and the source of a clip, which other clips may share."""
    source = {("source", clip.source_id)} if clip.source_id is not None else set()
    return {("person", clip.group)} | source


def _order(clip: Clip) -> str:
    return hashlib.sha256(f"tp-cross {clip.clip_id}".encode()).hexdigest()


def _aspect(clip: Clip, protocol: CrossProtocol) -> Fraction:
    return Fraction(*protocol.size.apply(clip.width, clip.height))


def _left_out(message: str) -> AuditEntry:
    return AuditEntry(kind="no-pair", message=f"left out: {message}")
