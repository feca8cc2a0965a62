"""Curation of local files: plan, work, export."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from curation.config import Config
from curation.dataset.export import dropped_duplicates, export
from curation.detect.detectors import Detectors
from curation.detect.pose_backends import detectors_of
from curation.download.access import Access
from curation.download.ledger import nothing_barred
from curation.download.status import DownloadReport
from curation.executors.base import Executor, JobFailure, Limits
from curation.executors.local_executor import LocalExecutor
from curation.heartbeat import Heartbeat, heartbeats
from curation.protocols import long_clips
from curation.records import SourceRecord
from curation.sources import LocalSource, Source, UnreadFile, identify
from curation.store import Store, StoreError
from curation.worker import FileJob, Job, Skipped, failed, process_any, state_of
from talkingpose.io.progress import SILENT, Progress
from talkingpose.io.shard import Shard

# Bump to invalidate cached results.
PIPELINE_VERSION = "5"


@dataclass(frozen=True)
class RunOptions:
    """Options of a run; none of them changes a clip.

    Attributes:
        workers: number of worker processes; None for one per core.
        fresh: discard the results of earlier runs in the folder.
        retry_dead: retry sources that were given up or quarantined.
        delete_sources: delete a downloaded file once its clips are written.
        shard: process this shard of the sources, and leave the export to a later command.
        access: cookies and proxy for downloads.
        executor: runs the jobs: processes of this machine, or of a Ray cluster.
        detectors: models used instead of those of the configuration.
        extractors: classes that yt-dlp tries before its own.
    """

    workers: int | None = None
    fresh: bool = False
    retry_dead: bool = False
    delete_sources: bool = False
    shard: Shard | None = None
    access: Access = field(default_factory=Access)
    executor: Executor = field(default_factory=LocalExecutor)
    detectors: Detectors | None = None
    extractors: Sequence[type[Any]] = ()

    @property
    def num_workers(self) -> int:
        """Number of worker processes."""
        return self.workers or self.executor.num_cpus


DEFAULT_OPTIONS = RunOptions()


@dataclass(frozen=True)
class CurationPlan:
    """Sources of a run, each content once.

    Attributes:
        done: finished with the same settings and tools.
        todo: not processed yet, or ended in an error; the content of unread files is not known yet.
        same_content: names of files with the content of another file.
        quarantined: crashed their process or exceeded its time limit; not retried.
    """

    done: tuple[Source, ...]
    todo: tuple[Source | UnreadFile, ...]
    same_content: tuple[str, ...]
    quarantined: tuple[Source, ...] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.todo)} to do", f"{len(self.done)} done before"]
        if self.same_content:
            parts.append(f"{len(self.same_content)} with the content of another")
        if self.quarantined:
            parts.append(f"{len(self.quarantined)} in quarantine (--retry-dead retries them)")
        total = len(self.todo) + len(self.done) + len(self.same_content) + len(self.quarantined)
        return f"{total} sources: {', '.join(parts)}"


@dataclass
class CurationSummary:
    """Result of a run, and content of its folder.

    Attributes:
        out: output folder.
        done_before: sources finished by earlier runs.
        worked_on: sources processed by this run.
        records: records of all sources in the folder.
        duplicates: ids of clips that the export left out, with the id of the clip that represents them.
        errors: (name, message) of the sources of this run.
        seconds: CPU time of this run per step.
        wall_s: wall-clock time of this run.
        exported: the run wrote the dataset.
        downloads: report of the downloads; None if there were none.
        workers: processes of a run that is going on, see `curation.heartbeat`; only in `tp-curate status`.
    """

    out: Path
    done_before: int = 0
    worked_on: int = 0
    records: list[SourceRecord] = field(default_factory=list)
    duplicates: dict[str, str] = field(default_factory=dict)
    errors: list[tuple[str, str]] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0
    exported: bool = False
    downloads: DownloadReport | None = None
    workers: list[Heartbeat] = field(default_factory=list)

    @property
    def is_partial(self) -> bool:
        """Return whether sources failed that another run may process."""
        return bool(self.errors) or (self.downloads is not None and self.downloads.is_partial)

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON values; counts are of everything in the folder."""
        shots = [shot for record in self.records for shot in record.shots]
        clips = [
            clip for record in self.records for clip in record.clips if clip.clip_id not in self.duplicates
        ]
        document: dict[str, Any] = {
            "out": str(self.out),
            "sources": {
                "in_dataset": len(self.records),
                "done_before": self.done_before,
                "worked_on": self.worked_on,
                "errors": len({name for name, _ in self.errors}),
            },
            "clips": {
                "kept": len(clips),
                "frames": sum(clip.num_frames for clip in clips),
                "seconds": round(sum(clip.end_s - clip.start_s for clip in clips), 3),
                "duplicates": len(self.duplicates),
                "long": long_clips(clips),
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
        if self.workers:
            document["workers"] = [worker.document() for worker in self.workers]
        return document if self.downloads is None else document | {"download": self.downloads.document()}


def tool_versions(detectors: Detectors) -> dict[str, str]:
    """Return the versions of everything besides the configuration that affects a clip."""
    import av

    libraries = ("av", "ImageHash", "numpy", "opencv-contrib-python", "scenedetect", "scipy", "talkingpose")
    return {
        **{name: version(name) for name in libraries},
        "ffmpeg": str(av.ffmpeg_version_info),
        "pipeline": PIPELINE_VERSION,
        **detectors.versions(),
    }


def recipe_of(config: Config, versions: dict[str, str]) -> str:
    """Return the identifier of configuration and tools: 16 hex digits."""
    return hashlib.sha256(json.dumps([config.hash, versions], sort_keys=True).encode()).hexdigest()[:16]


def plan_curation(
    store: Store, sources: Iterable[Source | UnreadFile], recipe: str, *, retry: bool = False
) -> CurationPlan:
    """Compare sources with the records of the folder; `retry` includes quarantined sources."""
    done: dict[str, Source] = {}
    todo: dict[str, Source | UnreadFile] = {}
    same_content: list[str] = []
    contents: set[str] = set()
    quarantined: list[Source] = []
    for source in sources:
        if isinstance(source, UnreadFile):
            todo[str(source.file.path)] = source
            continue
        if source.source_id in done or source.source_id in todo or source.sha256 in contents:
            same_content.append(source.name)
            continue
        contents |= {source.sha256} if source.sha256 else set()
        state = state_of(store, source, recipe, retry=retry)
        if state == "quarantined":
            quarantined.append(source)
        elif state == "done":
            done[source.source_id] = source
        else:
            todo[source.source_id] = source
    return CurationPlan(tuple(done.values()), tuple(todo.values()), tuple(same_content), tuple(quarantined))


def dry_run(found: Sequence[LocalSource], out: Path, config: Config) -> CurationPlan:
    """Return the plan of a run without writing anything.

    Raises:
        StoreError: the folder holds files of other programs.
        WeightsError: weights that the configuration needs are missing.
    """
    store = Store(out)
    store.check()
    recipe = recipe_of(config, tool_versions(detectors_of(config.pose)))
    return plan_curation(store, store.identify(found, remember=False), recipe)


class Curator:
    """Curation of video files into a folder that the caller has locked.

    Args:
        store: state of the folder.
        config: configuration.
        options: options of the run.
        progress: receives the plan, finished sources and errors.
        is_forgotten: returns whether a content hash must not enter the dataset; workers get a copy.

    Raises:
        WeightsError: weights that the configuration needs are missing.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        options: RunOptions,
        progress: Progress = SILENT,
        is_forgotten: Callable[[str | None], bool] = nothing_barred,
    ) -> None:
        self._begun = time.perf_counter()
        self._store = store
        self._config = config
        self._options = options
        self._progress = progress
        self._is_forgotten = is_forgotten
        self._detectors = options.detectors or detectors_of(config.pose)
        self._versions = tool_versions(self._detectors)
        self._recipe = recipe_of(config, self._versions)
        self._summary = CurationSummary(store.out)
        self._identified: list[Source] = []

    def work(self, found: Sequence[LocalSource]) -> set[str]:
        """Process files that are not finished yet; returns the names of those that failed."""
        store, summary = self._store, self._summary
        sources = [
            one
            for one in store.recognise(found)
            if isinstance(one, UnreadFile) or not self._is_forgotten(one.sha256)
        ]
        plan = plan_curation(store, sources, self._recipe, retry=self._options.retry_dead)
        if any(_is_local(one) for one in sources):
            self._progress.message(str(plan))
        self._progress.advance(len(found) - len(plan.todo))
        summary.done_before += len(plan.done)
        before = len(summary.errors)
        for source in plan.quarantined:
            self._add_quarantined(source.source_id, source.name)
        self._identified = [one for one in plan.done if one.origin is None]
        for record in self._process(plan.todo):
            store.write(record)
            summary.worked_on += 1
            summary.seconds.update(record.seconds)
            summary.errors += [(record.name, message) for message in record.errors]
            for message in record.errors:
                self._progress.message(f"error: {with_name(record.name, message)}")
        # The id of a downloaded source does not depend on its content.
        store.drop_failures(self._identified)
        return {name for name, _ in summary.errors[before:]}

    def _add_quarantined(self, source_id: str, name: str) -> None:
        known = self._store.record(source_id)
        self._summary.errors += [(name, f"in quarantine: {m}") for m in (known.errors if known else ())]

    def finish(self) -> CurationSummary:
        """Export the dataset, unless this is a shard, and return the summary."""
        summary = self._summary
        summary.errors.sort()
        summary.records = self._store.records()
        if self._options.shard is None:
            self._store.tidy(summary.records)
            summary.exported = export(self._store, summary.records, self._config.export)
        summary.duplicates = dropped_duplicates(self._store, summary.records)
        summary.wall_s = time.perf_counter() - self._begun
        return summary

    def _process(self, todo: Sequence[Source | UnreadFile]) -> Iterator[SourceRecord]:
        jobs = [self._job(one) for one in todo]
        workers = self._config.workers
        limits = Limits(
            self._options.num_workers, self._store.log, workers.source_limit_s, workers.sources_per_process
        )
        # A record states its versions, so they must be the same on every machine.
        versions = partial(tool_versions, self._detectors)
        read: list[tuple[UnreadFile, str]] = []
        try:
            for number, result in self._options.executor.run(jobs, process_any, limits, versions=versions):
                self._progress.advance()
                job = jobs[number]
                if isinstance(result, Skipped):
                    self._skip(job, result, read)
                    continue
                if isinstance(result, JobFailure):
                    if isinstance(job, FileJob):
                        job = job.job(identify(job.file.file))
                    message = f"{job.source.name}: {result.message}"
                    result = failed(job, message, quarantined=result.fatal)
                self._note(todo[number], result.source_id, result.source_sha256, read)
                yield result
        finally:
            self._store.remember(read)

    def _job(self, source: Source | UnreadFile) -> Job | FileJob:
        settings = (self._config, self._recipe, self._versions, self._detectors)
        if isinstance(source, Source):
            return Job(source, *settings, self._store.clip_folder(source.source_id, self._recipe))
        return FileJob(source, *settings, self._store.out, self._options.retry_dead, self._is_forgotten)

    def _skip(self, job: Job | FileJob, result: Skipped, read: list[tuple[UnreadFile, str]]) -> None:
        """Count a file that needed no work."""
        assert isinstance(job, FileJob)
        self._progress.message(f"{job.file.name}: {result.state}")
        self._note(job.file, result.source_id, result.sha256, read)
        self._summary.done_before += result.state == "done"
        if result.state == "quarantined":
            self._add_quarantined(result.source_id, job.file.name)

    def _note(
        self,
        source: Source | UnreadFile,
        source_id: str,
        sha256: str | None,
        read: list[tuple[UnreadFile, str]],
    ) -> None:
        """Remember the content of a local file."""
        if isinstance(source, UnreadFile):
            if sha256 is not None:
                read.append((source, sha256))
            source = Source(source.file.path, source.file.name, source_id, sha256)
        if source.origin is None:
            self._identified.append(source)


def _is_local(source: Source | UnreadFile) -> bool:
    return isinstance(source, UnreadFile) or source.origin is None


def export_folder(out: Path, config: Config) -> CurationSummary:
    """Write the dataset of all records in a folder; returns its summary.

    Raises:
        StoreError: another run works in the folder, or no run ever did.
    """
    store = existing_store(out)
    with store.locked():
        records = store.records()
        store.tidy(records)
        exported = export(store, records, config.export)
    summary = summarize(out)
    summary.exported = exported
    return summary


def summarize(out: Path) -> CurationSummary:
    """Return the summary of what earlier runs left in a folder; raises StoreError if no run ever did."""
    store = existing_store(out)
    records = store.records()
    errors = [(record.name, message) for record in records for message in record.errors]
    done = len(records) - len({name for name, _ in errors})
    duplicates = dropped_duplicates(store, records)
    summary = CurationSummary(out, done, 0, records, duplicates, errors)
    summary.workers = heartbeats(store.state)
    return summary


def existing_store(out: Path) -> Store:
    """Return the state of a folder in which a run has worked; raises StoreError for any other."""
    store = Store(out)
    if not os.path.isdir(store.state):  # noqa: PTH112  False for every invalid path
        raise StoreError(f"folder {out}: no run of tp-curate worked here: give the --out of one")
    return store


def with_name(name: str, message: str) -> str:
    """Return a message that contains the name of its source."""
    return message if name in message else f"{name}: {message}"
