"""A run: find, skip what is done, work on the rest, export."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from curation.config import Config
from curation.dataset.export import export, exported_clip_ids
from curation.detect.detectors import Detectors
from curation.detect.pose_backends import detectors_of
from curation.executors.base import Executor, JobFailure, Limits
from curation.executors.local_executor import LocalExecutor
from curation.records import SourceRecord
from curation.sources import LocalSource, Source, find_sources
from curation.store import Store
from curation.worker import Job, failed, process

# What the way of a source through this package makes; a new number makes the next run go that way anew.
PIPELINE_VERSION = "5"


@dataclass(frozen=True)
class CurationPlan:
    """Sources of a run, each content once.

    `done` were worked on before with the same settings and tools, `todo` were not, or ended in an error.
    `twins` are names of files whose content another file has as well. `quarantined` crashed their process or
    used up their time, and are left alone.
    """

    done: tuple[Source, ...]
    todo: tuple[Source, ...]
    twins: tuple[str, ...]
    quarantined: tuple[Source, ...] = ()


@dataclass
class CurationSummary:
    """What a run did and what is there now.

    `errors` are (name, message) of this run's sources; `seconds` is the work of this run per step.
    `in_dataset` are the ids of the exported clips, without duplicates; None where nothing was exported.
    """

    out: Path
    done_before: int
    worked_on: int
    records: list[SourceRecord]
    errors: list[tuple[str, str]] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0
    exported: bool = False
    in_dataset: frozenset[str] | None = None

    def document(self) -> dict[str, Any]:
        """The summary as JSON values; counts are over everything in the folder."""
        shots = [shot for record in self.records for shot in record.shots]
        kept = [clip for record in self.records for clip in record.clips]
        clips = [clip for clip in kept if self.in_dataset is None or clip.clip_id in self.in_dataset]
        return {
            "out": str(self.out),
            "sources": {
                "in_dataset": len(self.records),
                "done_before": self.done_before,
                "worked_on": self.worked_on,
                "errors": len({name for name, _ in self.errors}),
            },
            "clips": {
                "kept": len(clips),
                "duplicates": len(kept) - len(clips),
                "frames": sum(clip.num_frames for clip in clips),
                "seconds": round(sum(clip.end_s - clip.start_s for clip in clips), 3),
            },
            "rejected": dict(
                Counter(shot.reason for shot in shots if shot.verdict == "reject").most_common()
            ),
            "undecided": sum(shot.verdict == "error" for shot in shots)
            + sum(record.error is not None for record in self.records),
            "errors": [{"source": name, "message": message} for name, message in self.errors],
            "seconds": {step: round(spent, 3) for step, spent in sorted(self.seconds.items())},
            "wall_s": round(self.wall_s, 3),
        }


def tool_versions(detectors: Detectors) -> dict[str, str]:
    """Whatever besides the configuration decides what a clip looks like."""
    import av

    libraries = ("av", "ImageHash", "numpy", "opencv-contrib-python", "scenedetect", "scipy", "talkingpose")
    return {
        **{name: version(name) for name in libraries},
        "ffmpeg": str(av.ffmpeg_version_info),
        "pipeline": PIPELINE_VERSION,
        **detectors.versions(),
    }


def recipe(config: Config, versions: dict[str, str]) -> str:
    """Names what a record was made with, 16 hex digits."""
    return hashlib.sha256(json.dumps([config.hash, versions], sort_keys=True).encode()).hexdigest()[:16]


def plan_curation(
    store: Store, sources: Iterable[Source], made_with: str, *, retry: bool = False
) -> CurationPlan:
    """Which sources are left to do; with `retry` also those in quarantine."""
    done: dict[str, Source] = {}
    todo: dict[str, Source] = {}
    twins: list[str] = []
    contents: set[str] = set()
    quarantined: list[Source] = []
    for source in sources:
        if source.source_id in done or source.source_id in todo or source.sha256 in contents:
            twins.append(source.name)
            continue
        contents |= {source.sha256} if source.sha256 else set()
        record = store.record(source.source_id)
        known = record is not None and record.recipe == made_with and record.spans == source.spans
        if record is not None and known and record.quarantined and not retry:
            quarantined.append(source)
            continue
        finished = record is not None and known and not record.errors
        (done if finished else todo)[source.source_id] = source
    return CurationPlan(tuple(done.values()), tuple(todo.values()), tuple(twins), tuple(quarantined))


def find(locations: Sequence[Path], limit: int | None) -> list[LocalSource]:
    """The first `limit` videos among files and folders; raises SourceError as `find_sources` does."""
    return find_sources(locations)[:limit]


def curate(
    found: Sequence[LocalSource],
    out: Path,
    config: Config,
    *,
    workers: int,
    fresh: bool = False,
    publish: bool = True,
    retry: bool = False,
    executor: Executor | None = None,
    detectors: Detectors | None = None,
    on_plan: Callable[[CurationPlan], None] = lambda plan: None,
    on_source: Callable[[SourceRecord], None] = lambda record: None,
) -> CurationSummary:
    """Work on what is left of the sources and export everything that is in the folder.

    Args:
        out: the dataset's folder; made if need be.
        fresh: forget what earlier runs did here.
        retry: try anew also what is in quarantine.
        executor: runs the jobs; processes of this machine by default.
        detectors: other models than those that the configuration names.
        publish: False leaves the export, and the records of the summary, to a later call, where more sources
            are about to come.
        on_plan, on_source: called when it is known what is left, and with every source that has ended.

    Raises:
        StoreError: another run works in the folder, or it holds files of other hands.
        WeightsError: weights that the configuration asks for are not here.
        RayExecutorError: a machine of the cluster cannot take part.
    """
    begun = time.perf_counter()
    store = Store(out)
    detectors = detectors or detectors_of(config.pose)
    versions = tool_versions(detectors)
    made_with = recipe(config, versions)
    with store.locked():
        if fresh:
            store.wipe()
        plan = plan_curation(store, store.identify(found), made_with, retry=retry)
        on_plan(plan)
        # The id of what was fetched is that of its site, whatever its content.
        store.drop_failures([one for one in (*plan.done, *plan.todo) if one.origin is None])
        summary = CurationSummary(out, len(plan.done), len(plan.todo), [])
        jobs = [
            Job(
                source, config, made_with, versions, detectors, store.clip_folder(source.source_id, made_with)
            )
            for source in plan.todo
        ]
        for source in plan.quarantined:
            known = store.record(source.source_id)
            summary.errors += [(source.name, f"in quarantine: {m}") for m in (known.errors if known else ())]
        limits = Limits(workers, store.log, config.workers.source_limit_s, config.workers.sources_per_process)
        # A record states its versions, so they must be the same on every machine.
        results = (executor or LocalExecutor()).run(
            jobs, process, limits, versions=partial(tool_versions, detectors)
        )
        for number, result in results:
            job = jobs[number]
            record = (
                failed(job, f"{job.source.name}: {result.message}", quarantined=result.fatal)
                if isinstance(result, JobFailure)
                else result
            )
            store.write(record)
            summary.seconds.update(record.seconds)
            summary.errors += [(record.name, message) for message in record.errors]
            on_source(record)
        summary.errors.sort()
        if publish:
            summary.records = store.records()
            store.tidy(summary.records)
            summary.exported = export(store, summary.records, config.export)
            summary.in_dataset = exported_clip_ids(store)
    summary.wall_s = time.perf_counter() - begun
    return summary


def plan_only(
    found: Sequence[LocalSource], out: Path, config: Config, detectors: Detectors | None = None
) -> CurationPlan:
    """What `curate` would work on; writes nothing.

    Raises:
        StoreError: the folder holds files of other hands.
        WeightsError: weights that the configuration asks for are not here.
    """
    store = Store(out)
    store.check()
    identify = partial(store.identify, remember=False)
    return plan_curation(
        store, identify(found), recipe(config, tool_versions(detectors or detectors_of(config.pose)))
    )
