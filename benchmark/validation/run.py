"""A run: its documents, the files beside them, and whether its cases give its numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.protocols.protocol import CrossProtocol, Protocol, ProtocolError, load_protocol
from benchmark.results import CaseResult, ResultError, Run, read_case, read_run
from benchmark.run_dir import RunDir
from benchmark.runner.plan import plan_run
from benchmark.runner.scorer import file_sha256, read_frame_scores
from benchmark.runner.summarize import metrics_under, summarize
from benchmark.validation.checks import CheckList, printable
from talkingpose.data.clips import Clip, ClipDataset, fingerprint

# Sums of the same numbers may differ in their last bits between machines.
_RELATIVE = 1e-9


def check_run(folder: RunDir, dataset: ClipDataset | None, notes: CheckList) -> str:
    """Check the folder of a run, and its clips where their dataset is given; says what was looked at.

    Raises:
        ResultError: it has no `run.json` that can be read.
    """
    run = read_run(folder.path)
    if run.status != "complete":
        notes.error("run.json", f"the run is {run.status}")
    if len(set(run.cases)) != len(run.cases) or len(run.cases) != run.dataset.n_cases:
        notes.error("run.json", f"names {len(set(run.cases))} clips, its dataset has {run.dataset.n_cases}")
    unscored = {entry.clip_id for entry in run.audit if entry.kind in ("failed", "pending")}
    cases = [
        case
        for clip_id in dict.fromkeys(run.cases)
        if clip_id not in unscored and (case := _checked_case(folder, clip_id, notes)) is not None
    ]
    beside = {path.stem for path in (folder.path / "cases").glob("*.json")} - set(run.cases)
    for name in sorted(beside):
        notes.warning(f"cases/{printable(name)}.json", "belongs to no clip of the run")
    _check_numbers(folder, run, cases, notes)
    if dataset is not None:
        _check_clips(run, cases, dataset, notes)
    return f"{len(cases)} of {len(run.cases)} cases: documents, files and their hashes, numbers folded again"


def _checked_case(folder: RunDir, clip_id: str, notes: CheckList) -> CaseResult | None:
    where = f"cases/{clip_id}.json"
    try:
        case = read_case(folder.case(clip_id))
    except ResultError as error:
        notes.error(where, str(error))
        return None
    if case.clip_id != clip_id:
        notes.error(where, f"is of clip {case.clip_id}")
        return None
    for part in (case.video, case.features, case.lossless):
        if part is None:
            continue
        path = folder.path / part.path
        if not path.is_file() or path.is_symlink():
            notes.error(part.path, "is not there")
        elif file_sha256(path) != part.sha256:
            notes.error(part.path, "is not the file whose hash the case holds")
    _check_frames(folder, case, notes)
    return case


def _check_clips(run: Run, cases: Sequence[CaseResult], dataset: ClipDataset, notes: CheckList) -> None:
    """Whether the clips of the run are those of the dataset, of the same people."""
    protocol = _protocol(run)
    if isinstance(protocol, CrossProtocol):
        clips, sha256 = _planned_clips(run, dataset, protocol)
    else:
        clips, sha256 = (
            {clip.clip_id: clip for split in dataset.splits for clip in dataset.clips(split)},
            None,
        )
    missing = [clip_id for clip_id in run.cases if clip_id not in clips]
    if missing:
        notes.error("run.json", f"clip {missing[0]} is not in the dataset")
        return
    if sha256 is None:
        hashed = [
            dataclasses.replace(clip, sha256=hashlib.sha256(dataset.video(clip)).hexdigest())
            for clip in (clips[clip_id] for clip_id in run.cases)
        ]
        sha256 = fingerprint(hashed)
    if sha256 != run.dataset.cases_sha256:
        notes.error("run.json", "its clips are not those of the dataset: other videos or lengths")
    for case in cases:
        clip = clips[case.clip_id]
        if (case.cluster, case.split, case.fps) != (clip.group, clip.split, str(clip.fps)):
            notes.error(f"cases/{case.clip_id}.json", "person, split or rate is not that of the dataset")


def _protocol(run: Run) -> Protocol | None:
    """The protocol of the run, None where it is not installed, which is told of elsewhere."""
    try:
        return load_protocol(f"{run.protocol.id}@{run.protocol.version}")
    except ProtocolError:
        return None


def _planned_clips(run: Run, dataset: ClipDataset, protocol: CrossProtocol) -> tuple[dict[str, Clip], str]:
    """The clips that pairs of the dataset's are to give, by id, and their fingerprint."""
    plan = plan_run(
        dataset,
        protocol,
        split=run.dataset.split if run.dataset.split in dataset.splits else None,
        limit=run.limit,
        max_frames=run.max_frames,
        seed=run.seed,
    )
    return {case.clip.clip_id: case.clip for case in plan.cases}, plan.cases_sha256


def _check_frames(folder: RunDir, case: CaseResult, notes: CheckList) -> None:
    """One row for each frame, numbered from 0."""
    where = f"frames/{case.clip_id}.parquet"
    try:
        numbers = read_frame_scores(folder.frames(case.clip_id), "t")
    except ResultError as error:
        notes.error(where, str(error))
        return
    if len(numbers) != case.num_frames or not np.array_equal(numbers, np.arange(len(numbers))):
        notes.error(where, f"has not one row for each of {case.num_frames} frames")


def _check_numbers(folder: RunDir, run: Run, cases: Sequence[CaseResult], notes: CheckList) -> None:
    """Whether the cases give the numbers that stand in `run.json`."""
    try:
        protocol = load_protocol(f"{run.protocol.id}@{run.protocol.version}")
        everything = metrics_under(protocol)
    except ProtocolError as error:
        notes.error("run.json", f"{error}: its numbers cannot be checked")
        return
    if protocol.sha256() != run.protocol.sha256:
        notes.error("run.json", "made under other rules than those installed: its numbers cannot be checked")
        return
    metrics = [metric for metric in everything if metric.spec.id in run.metrics]
    lacking = sorted(set(run.metrics) - {metric.spec.id for metric in metrics})
    lacking += [m.spec.id for m in metrics if any(m.spec.id not in case.metrics for case in cases)]
    if lacking:
        notes.error("run.json", f"metric {printable(lacking[0])} stands in no case or in no protocol")
        return
    if not cases:
        return
    try:
        numbers = summarize(folder, protocol, metrics, cases, run.dataset.n_cases)
    except (ResultError, ValueError, ArithmeticError, LookupError) as error:
        notes.error("run.json", f"its numbers cannot be folded again: {error}")
        return
    for name, summary in numbers.metrics.items():
        if not _same(summary.model_dump(), run.metrics[name].model_dump()):
            notes.error(
                "run.json",
                f"metric {name}: the cases give {summary.value}, it says {run.metrics[name].value}",
            )
    for name, curve in numbers.drift.items():
        if name not in run.drift or not _same(curve.model_dump(), run.drift[name].model_dump()):
            notes.error("run.json", f"drift of {name}: is not what the frames give")


def _same(one: Any, other: Any) -> bool:
    """Equal documents, numbers up to rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=1e-12)
    return bool(one == other)
