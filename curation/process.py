"""The way of one source: probe, scan, judge, and clips of what is kept."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from curation.clip import ClipError, make_clip
from curation.config import Config
from curation.detectors import Detectors
from curation.filters import judge
from curation.measurement import Shot
from curation.records import ClipRecord, Measured, ShotVerdict, SourceRecord
from curation.scan import Scan, sample_size, scan
from curation.sources import Source
from talkingpose.media import MediaError, VideoReader
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

    What is wrong with the source or a shot of it is in the record; faults of this project are raised.
    """
    if job.source.problem is not None:
        return failed(job, job.source.problem)
    seconds: dict[str, float] = {}
    try:
        found = _scan(job, seconds)
    except (MediaError, PoseError) as error:
        return failed(job, str(error))
    verdicts, clips = [], []
    for shot in found.shots:
        verdict, clip = _decide(job, found, shot, seconds)
        verdicts.append(verdict)
        if clip is not None:
            clips.append(clip)
    return SourceRecord(
        **_identity(job),
        error=None,
        width=found.info.width,
        height=found.info.height,
        fps=float(found.info.fps),
        num_frames=len(found.pts),
        lost_frames=found.report.lost_frames,
        variable_frame_rate=found.report.variable_frame_rate,
        cuts=found.cuts,
        shots=tuple(verdicts),
        clips=tuple(clips),
        seconds={step: round(spent, 3) for step, spent in seconds.items()},
    )


def failed(job: Job, message: str) -> SourceRecord:
    """The record of a source that could not be judged."""
    return SourceRecord(**_identity(job), error=message)


def _scan(job: Job, seconds: dict[str, float]) -> Scan:
    begun = time.perf_counter()
    path, name = job.source.path, job.source.name
    with VideoReader(path, name=name) as reader:
        size = sample_size(reader.info, job.config.sampling.longer_side)
    analyser = job.detectors.analyser()
    try:
        with VideoReader(path, name=name, size=size) as reader:
            return scan(reader, job.config, analyser, job.source.spans)
    finally:
        analyser.close()
        seconds["scan"] = time.perf_counter() - begun


def _decide(
    job: Job, found: Scan, shot: Shot, seconds: dict[str, float]
) -> tuple[ShotVerdict, ClipRecord | None]:
    findings = judge(shot, job.config.filter_settings)
    refusal = next((finding for finding in findings if not finding.passed), None)
    verdict: Literal["keep", "reject", "error"] = "reject" if refusal else "keep"
    reason, clip = refusal.reason if refusal else None, None
    if refusal is None:
        job.folder.mkdir(parents=True, exist_ok=True)
        try:
            clip = make_clip(
                job.source.path,
                job.source.source_id,
                found,
                shot,
                job.config,
                job.detectors.estimator,
                job.folder,
                seconds,
            )
        except (ClipError, MediaError, PoseError) as error:
            verdict, reason = "error", str(error)
    return (
        ShotVerdict(
            start_frame=shot.start,
            end_frame=shot.end,
            start_s=float(found.pts_of(shot.start) * found.info.time_base),
            end_s=float(found.pts_of(shot.end) * found.info.time_base),
            shot_start=shot.start,
            shot_end=shot.end,
            verdict=verdict,
            step="scan" if refusal else "clip",
            reason=reason,
            findings=tuple(Measured(step="scan", at_least=True, **asdict(finding)) for finding in findings),
            clip_id=clip.clip_id if clip else None,
        ),
        clip,
    )


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
