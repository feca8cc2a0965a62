"""Check of a run: its own files, and its clips where their dataset is given."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

from benchmark.protocols.protocol import CrossProtocol, Protocol, ProtocolError, load_protocol
from benchmark.results import CaseResult, Run
from benchmark.run_check import check_run as check_files_of_run
from benchmark.run_dir import RunDir
from benchmark.runner.plan import plan_run, planning_rules
from benchmark.validation.checks import CheckList
from talkingpose.data.clips import Clip, ClipDataset, fingerprint


def check_run(folder: RunDir, dataset: ClipDataset | None, notes: CheckList) -> str:
    """Check the folder of a run, and its clips where their dataset is given; return what was checked.

    Raises:
        ResultError: it has no `run.json` that can be read.
    """
    checked = check_files_of_run(folder.path)
    if checked.run.status == "partial":
        notes.error("run.json", "the run is partial")
    for problem in checked.problems:
        add = notes.warning if problem.severity == "remark" else notes.error
        add(problem.where, problem.message)
    if dataset is not None:
        _check_clips(checked.run, checked.cases.values(), dataset, notes)
    return (
        f"{len(checked.cases)} of {len(checked.run.cases)} cases: documents, files and their hashes, scores "
        "of frames, numbers computed again"
    )


def _check_clips(run: Run, cases: Iterable[CaseResult], dataset: ClipDataset, notes: CheckList) -> None:
    """Check that the clips of the run are those of the dataset, of the same people."""
    protocol = _protocol(run)
    if isinstance(protocol, CrossProtocol) or (protocol is not None and protocol.robustness is not None):
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
    """Find the protocol of the run; None where it is not installed, which `check_files_of_run` reports."""
    try:
        return load_protocol(f"{run.protocol.id}@{run.protocol.version}")
    except ProtocolError:
        return None


def _planned_clips(run: Run, dataset: ClipDataset, protocol: Protocol) -> tuple[dict[str, Clip], str]:
    """Plan the pairs or perturbed cases of the dataset: their clips by id, and the fingerprint of these."""
    plan = plan_run(
        dataset,
        planning_rules(protocol, run.max_frames),
        split=run.dataset.split if run.dataset.split in dataset.splits else None,
        limit=run.limit,
        max_frames=run.max_frames,
        seed=run.seed,
    )
    return {case.clip.clip_id: case.clip for case in plan.cases}, plan.cases_sha256
