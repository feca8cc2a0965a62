"""The way of one source: index, key frames, one full decode, verdicts, and clips of what is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation import filters
from curation.clips.trim import TrimmedSpan, parts_of
from curation.clips.writer import ClipError, make_clip
from curation.config import Config
from curation.detect.detectors import Detectors
from curation.detect.keyframe_faces import NAME as KEYFRAMES
from curation.detect.keyframe_faces import NOT_ASKED as KEYFRAMES_NOT_ASKED
from curation.detect.keyframe_faces import can_judge, judge_key_frames
from curation.detect.measurements import Shot
from curation.detect.scan import Scan, scan
from curation.filters.length import LengthFilter, LengthSettings
from curation.records import ClipRecord, FilterResult, ShotVerdict, SourceRecord, Step
from curation.sources import Source
from talkingpose.media import MediaError, PacketIndex, VideoReader, read_index
from talkingpose.pose import PoseError


@dataclass(frozen=True)
class Job:
    """A source, how to work on it, and the folder for its clips. Travels to worker processes."""

    source: Source
    config: Config
    recipe: str
    tool_versions: dict[str, str]
    detectors: Detectors
    folder: Path


def process(job: Job) -> SourceRecord:
    """Work on one source to its end; writes its clips into the job's folder, which is made if need be.

    Cheap before dear: each step is asked only of what the one before has left. What is wrong with the source
    or a shot of it is in the record; faults of this project are raised.
    """
    if job.source.problem is not None:
        return failed(job, job.source.problem)
    seconds: dict[str, float] = {}
    try:
        # 1. The container and its packets; of the frames only the first is decoded.
        with _timed(seconds, "index"):
            reader = VideoReader(job.source.path, name=job.source.name)
            index = read_index(job.source.path, name=job.source.name)
        too_short = _length(job, index)
        if too_short is not None and not too_short.passed:
            return _record(job, reader, index, seconds, verdicts=(_unseen(job, index, "index", [too_short]),))
        # 2. Key frames alone: is there a face?
        with _timed(seconds, "gate"):
            faces = _keyframe_faces(job, reader, index)
        if faces is not None and not faces.passed:
            known = [result for result in (too_short, faces) if result is not None]
            return _record(job, reader, index, seconds, verdicts=(_unseen(job, index, "gate", known),))
        # 3. Every frame once: shots, and samples of them.
        with _timed(seconds, "scan"):
            found = _scan(job, reader)
    except (MediaError, PoseError) as error:
        return failed(job, str(error))
    # 4. Verdicts; 5. dense pose, cut and encode of what is kept.
    decided = [
        _decide(job, found, shot, part, faces, seconds)
        for shot in found.shots
        for part in parts_of(shot, job.config, found.times)
    ]
    return _record(
        job,
        reader,
        index,
        seconds,
        scan=found,
        verdicts=tuple(verdict for verdict, _ in decided),
        clips=tuple(clip for _, clip in decided if clip is not None),
    )


def failed(job: Job, message: str, *, quarantined: bool = False) -> SourceRecord:
    """The record of a source that could not be judged."""
    return SourceRecord(**_identity(job), error=message, quarantined=quarantined)


def _length(job: Job, index: PacketIndex) -> FilterResult | None:
    """Whether the whole source is too short; None where that is not asked, or packets carry no times."""
    settings = job.config.filters["length"]
    if not isinstance(settings, LengthSettings) or index.duration_s is None:
        return None
    return LengthFilter().of_duration(index.duration_s, settings).result("index")


def _keyframe_faces(job: Job, reader: VideoReader, index: PacketIndex) -> FilterResult | None:
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


def _decide(
    job: Job,
    found: Scan,
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
        start_s=found.times[span.start],
        end_s=found.times[span.end],
        shot_start=shot.start,
        shot_end=shot.end,
        verdict="reject",
        step="scan",
        reason=next((result.reason for result in known if not result.passed), None),
        reasons=tuple(result.reason for result in known if result.reason is not None),
        findings=_all_filters(job, known),
        clip_id=None,
    )
    if not part.passed:
        return verdict, None
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        clip = make_clip(
            job.source.path,
            job.source.source_id,
            found,
            span,
            job.config,
            job.detectors.estimator,
            job.folder,
            seconds,
        )
    except (ClipError, MediaError, PoseError) as error:
        return verdict.model_copy(update={"verdict": "error", "step": "clip", "reason": str(error)}), None
    return verdict.model_copy(update={"verdict": "keep", "step": "clip", "clip_id": clip.clip_id}), clip


def _unseen(job: Job, index: PacketIndex, step: Step, known: list[FilterResult]) -> ShotVerdict:
    """The verdict over a source of which no shot was looked at."""
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
    """What is known, and every other filter that has settings as not asked."""
    answers = {result.filter: result for result in known}
    asked = [KEYFRAMES] if job.config.keyframe_faces is not None else []
    asked += [name for name, settings in job.config.filters.items() if settings is not None]
    return tuple(answers.get(name) or _not_asked(job, name) for name in dict.fromkeys([*asked, *answers]))


def _not_asked(job: Job, name: str) -> FilterResult:
    """Result of a filter that did not run, with its threshold."""
    if name == KEYFRAMES:
        return KEYFRAMES_NOT_ASKED
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
    seen: dict[str, Any] = {"num_frames": index.num_packets}
    if scan is not None:
        seen = {
            "num_frames": len(scan.pts),
            "lost_frames": scan.report.lost_frames,
            "variable_frame_rate": scan.report.variable_frame_rate,
            "cuts": scan.cuts,
            "identity": job.detectors.identity(),
        }
    return SourceRecord(
        **_identity(job),
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
        **seen,
    )


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the CPU time of a step."""
    begun = time.process_time()
    try:
        yield
    finally:
        seconds[step] = seconds.get(step, 0.0) + time.process_time() - begun


def _identity(job: Job) -> dict[str, Any]:
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
