"""Curation of one source: index, key frames, one full decode, verdicts, clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from curation import filters
from curation.clips.scores import appearance
from curation.clips.trim import TrimmedSpan, parts_of
from curation.clips.writer import ClipError, make_clip
from curation.config import Config
from curation.detect import transnet
from curation.detect.detectors import Detectors
from curation.detect.keyframe_faces import NAME as KEYFRAME_FACES
from curation.detect.keyframe_faces import NOT_ASKED as KEYFRAME_FACES_NOT_RUN
from curation.detect.keyframe_faces import can_judge, judge_key_frames
from curation.detect.measurements import Shot
from curation.detect.scan import Scan, scan
from curation.detect.transitions import edges_of
from curation.filters.length import LengthFilter, LengthSettings
from curation.heartbeat import beating
from curation.records import ClipRecord, Curve, FilterResult, ShotVerdict, SourceRecord, Step
from curation.sources import Source, UnreadFile, identify
from curation.store import Store
from talkingpose.media import MediaError, PacketIndex, VideoReader, read_index
from talkingpose.pose import PoseError

SourceState = Literal["done", "quarantined", "same content", "forgotten"]


@dataclass(frozen=True)
class Job:
    """Job of a worker process.

    Attributes:
        source: source to process.
        config: configuration.
        recipe: identifier of configuration and tools, for the record.
        tool_versions: versions of the tools, for the record.
        detectors: models.
        folder: folder of the clips; created if missing.
    """

    source: Source
    config: Config
    recipe: str
    tool_versions: dict[str, str]
    detectors: Detectors
    folder: Path


@dataclass(frozen=True)
class FileJob:
    """Job of a local file that no run has read: the worker identifies it.

    Attributes:
        file: the file.
        config, recipe, tool_versions, detectors: as in `Job`.
        out: output folder.
        retry: process quarantined content.
        is_forgotten: returns whether a content hash must not enter the dataset.
    """

    file: UnreadFile
    config: Config
    recipe: str
    tool_versions: dict[str, str]
    detectors: Detectors
    out: Path
    retry: bool
    is_forgotten: Callable[[str | None], bool]

    def job(self, source: Source) -> Job:
        """Return the job of the identified file."""
        folder = Store(self.out).clip_folder(source.source_id, self.recipe)
        return Job(source, self.config, self.recipe, self.tool_versions, self.detectors, folder)


@dataclass(frozen=True)
class Skipped:
    """A local file with nothing to do.

    Attributes:
        state: of its content, see `curation.run.CurationPlan`; `forgotten` if it must not be processed.
        sha256: hash of the content; None if it cannot be read.
        source_id: id of the content.
    """

    state: SourceState
    sha256: str | None
    source_id: str


def state_of(
    store: Store, source: Source, recipe: str, *, retry: bool
) -> Literal["done", "quarantined", "todo"]:
    """Compare a source with its record in the folder; `retry` includes quarantined sources."""
    record = store.record(source.source_id)
    if record is None or record.recipe != recipe or record.spans != source.spans:
        return "todo"
    if record.quarantined:
        return "todo" if retry else "quarantined"
    return "todo" if record.errors else "done"


def process_file(job: FileJob) -> SourceRecord | Skipped:
    """Identify a local file, and process it unless its content is known."""
    is_copy = job.file.copied() is not None
    source = identify(job.file.file)
    if is_copy:
        return Skipped("same content", source.sha256, source.source_id)
    if job.is_forgotten(source.sha256):
        return Skipped("forgotten", source.sha256, source.source_id)
    state = state_of(Store(job.out), source, job.recipe, retry=job.retry)
    if state != "todo":
        return Skipped(state, source.sha256, source.source_id)
    return process(job.job(source))


def process_any(job: Job | FileJob) -> SourceRecord | Skipped:
    """Process a source or an unread file in a worker, with a heartbeat."""
    if isinstance(job, FileJob):
        with beating(Store(job.out).state, job.file.name):
            return process_file(job)
    with beating(job.folder.parents[2], job.source.name):
        return process(job)


def process(job: Job) -> SourceRecord:
    """Process one source and write its clips into the folder of the job.

    Cheap steps run first; each step sees only what passed the one before. Errors of the source or of a shot
    are in the record; bugs of this project are raised.
    """
    if job.source.problem is not None:
        return failed(job, job.source.problem)
    seconds: dict[str, float] = {}
    try:
        # 1. Container and packets; only the first frame is decoded.
        with _timed(seconds, "index"):
            reader = VideoReader(job.source.path, name=job.source.name)
            index = read_index(job.source.path, name=job.source.name)
        too_short = _check_length(job, index)
        if too_short is not None and not too_short.passed:
            return _record(
                job, reader, index, seconds, verdicts=(_reject_undecoded(job, index, "index", [too_short]),)
            )
        # 2. Faces in key frames.
        with _timed(seconds, "gate"):
            faces = _check_key_frames(job, reader, index)
        if faces is not None and not faces.passed:
            known = [result for result in (too_short, faces) if result is not None]
            return _record(
                job, reader, index, seconds, verdicts=(_reject_undecoded(job, index, "gate", known),)
            )
        # 3. One full decode: shots and samples.
        with _timed(seconds, "scan"):
            scanned = _scan(job, reader)
    except (MediaError, PoseError) as error:
        return failed(job, str(error))
    # 4. Verdicts. 5. Keypoints, cut and encode of kept spans.
    try:
        with _timed(seconds, "scan"):
            judged = [one for shot in scanned.shots for one in _parts(job, scanned, shot)]
    except MediaError as error:
        return failed(job, str(error))
    decided = [_decide(job, scanned, shot, part, faces, seconds) for shot, part in judged]
    return _record(
        job,
        reader,
        index,
        seconds,
        scan=scanned,
        verdicts=tuple(verdict for verdict, _ in decided),
        clips=tuple(clip for _, clip in decided if clip is not None),
    )


def failed(job: Job, message: str, *, quarantined: bool = False) -> SourceRecord:
    """Return the record of a source that could not be processed."""
    return SourceRecord(**_provenance(job), error=message, quarantined=quarantined)


def _check_length(job: Job, index: PacketIndex) -> FilterResult | None:
    """Apply the length filter to the whole source; None if it is off or packets have no times."""
    settings = job.config.filters["length"]
    if not isinstance(settings, LengthSettings) or index.duration_s is None:
        return None
    return LengthFilter().of_duration(index.duration_s, settings).result("index")


def _check_key_frames(job: Job, reader: VideoReader, index: PacketIndex) -> FilterResult | None:
    """Search faces in key frames; None if that is off or key frames are too few."""
    settings = job.config.keyframe_faces
    if settings is None or not can_judge(index, settings):
        return None
    faces = job.detectors.faces()
    try:
        return judge_key_frames(reader, index, faces, settings, job.config.sampling.longer_side)
    finally:
        faces.close()


def _scan(job: Job, reader: VideoReader) -> Scan:
    analyser = job.detectors.analyser(reader.info, job.config.sampling.longer_side)
    try:
        return scan(reader, job.config.shots, job.config.sampling, analyser, job.source.spans)
    finally:
        analyser.close()


def _parts(job: Job, scanned: Scan, shot: Shot) -> list[tuple[Shot, TrimmedSpan]]:
    """Parts of a shot; a network looks for transitions in those that pass, where the pixels leave doubts."""
    parts = parts_of(shot, job.config, scanned.times)
    if not job.detectors.finds_transitions():
        return [(shot, part) for part in parts]
    cuts: set[int] = set()
    for part in parts:
        if part.passed:
            cuts |= _cuts_by_network(job, scanned, part.shot)
    edges = [shot.start, *sorted(cuts & set(range(shot.start + 1, shot.end))), shot.end]
    if len(edges) == 2:
        return [(shot, part) for part in parts]
    shots = [shot.part(start, end, scanned.times) for start, end in pairwise(edges)]
    return [(one, part) for one in shots for part in parts_of(one, job.config, scanned.times)]


def _cuts_by_network(job: Job, scanned: Scan, span: Shot) -> set[int]:
    """Frames at which shots begin and end around the transitions in a span."""
    cuts: set[int] = set()
    for start, end in transnet.doubtful_windows(scanned.doubts, span.start, span.end):
        with VideoReader(
            job.source.path, name=job.source.name, size=transnet.SIZE, downscaled=True
        ) as reader:
            stop = scanned.pts_of(end) if end < len(scanned.pts) else None
            frames = [frame.image for frame in reader.frames(scanned.pts_of(start), stop)]
        if frames:
            found = transnet.transitions(np.stack(frames))
            moved = [replace(one, start=start + one.start, end=start + one.end) for one in found]
            cuts |= set(edges_of(moved, scanned.info.fps, len(scanned.pts)))
    return cuts


def _decide(
    job: Job,
    scanned: Scan,
    shot: Shot,
    part: TrimmedSpan,
    faces: FilterResult | None,
    seconds: dict[str, float],
) -> tuple[ShotVerdict, ClipRecord | None]:
    span = part.shot
    known = [faces, *part.results] if faces is not None else list(part.results)
    verdict = ShotVerdict(
        start_frame=span.start,
        end_frame=span.end,
        start_s=scanned.times[span.start],
        end_s=scanned.times[span.end],
        shot_start=shot.start,
        shot_end=shot.end,
        verdict="reject",
        step="scan",
        reason=next((result.reason for result in known if not result.passed), None),
        reasons=tuple(result.reason for result in known if result.reason is not None),
        findings=_all_filters(job, known),
        clip_id=None,
        appearance=appearance(span),
        curve_times=tuple(round(sample.time, 3) for sample in span.samples),
        curves={one.spec.name: Curve.of(one.values) for one in part.measurements if one.spec.per == "sample"},
    )
    if not part.passed:
        return verdict, None
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        clip = make_clip(
            job.source.path,
            job.source.source_id,
            scanned,
            span,
            job.config,
            job.detectors.estimator,
            job.folder,
            seconds,
        )
    except (ClipError, MediaError, PoseError) as error:
        return verdict.model_copy(update={"verdict": "error", "step": "clip", "reason": str(error)}), None
    return verdict.model_copy(update={"verdict": "keep", "step": "clip", "clip_id": clip.clip_id}), clip


def _reject_undecoded(job: Job, index: PacketIndex, step: Step, known: list[FilterResult]) -> ShotVerdict:
    """Return the verdict for a source that was rejected before its frames were decoded."""
    reasons = tuple(result.reason for result in known if result.reason is not None)
    start = index.key_times[0] if index.key_times else 0.0
    return ShotVerdict(
        start_frame=0,
        end_frame=index.num_packets,
        start_s=start,
        end_s=start + (index.duration_s or 0.0),
        shot_start=0,
        shot_end=index.num_packets,
        verdict="reject",
        step=step,
        reason=reasons[0],
        reasons=reasons,
        findings=_all_filters(job, known),
        clip_id=None,
    )


def _all_filters(job: Job, known: list[FilterResult]) -> tuple[FilterResult, ...]:
    """Return the known results, and one for every other filter that is on but did not run."""
    results = {result.filter: result for result in known}
    active = [KEYFRAME_FACES] if job.config.keyframe_faces is not None else []
    active += [name for name, settings in job.config.filters.items() if settings is not None]
    return tuple(results.get(name) or _not_run(job, name) for name in dict.fromkeys([*active, *results]))


def _not_run(job: Job, name: str) -> FilterResult:
    """Result of a filter that did not run, with its threshold."""
    if name == KEYFRAME_FACES:
        return KEYFRAME_FACES_NOT_RUN
    settings = job.config.filters[name]
    assert settings is not None
    return filters.get(name).spec.not_asked(settings, "index" if name == "length" else "scan")


def _record(
    job: Job,
    reader: VideoReader,
    index: PacketIndex,
    seconds: dict[str, float],
    *,
    verdicts: tuple[ShotVerdict, ...],
    scan: Scan | None = None,
    clips: tuple[ClipRecord, ...] = (),
) -> SourceRecord:
    info = reader.info
    measured: dict[str, Any] = {"num_frames": index.num_packets}
    if scan is not None:
        measured = {
            "num_frames": len(scan.pts),
            "lost_frames": scan.report.lost_frames,
            "variable_frame_rate": scan.report.variable_frame_rate,
            "cuts": scan.cuts,
            "identity": job.detectors.identity(),
        }
    return SourceRecord(
        **_provenance(job),
        error=None,
        width=info.width,
        height=info.height,
        fps=float(info.fps),
        container=info.container,
        codec=info.codec,
        key_frames=len(index.key_times),
        shots=verdicts,
        clips=clips,
        seconds={step: round(spent, 3) for step, spent in seconds.items()},
        **measured,
    )


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the CPU time of a block to that of a step."""
    begun = time.process_time()
    try:
        yield
    finally:
        seconds[step] = seconds.get(step, 0.0) + time.process_time() - begun


def _provenance(job: Job) -> dict[str, Any]:
    origin = job.source.origin
    rights = ("url", "license", "uploader_id", "fetched_at", "rights_evidence")
    return {
        "source": origin.source if origin else "file",
        **({name: getattr(origin, name) for name in rights} if origin else {}),
        "spans": job.source.spans,
        "source_id": job.source.source_id,
        "name": job.source.name,
        "source_sha256": job.source.sha256,
        "recipe": job.recipe,
        "config_hash": job.config.hash,
        "tool_versions": job.tool_versions,
    }
