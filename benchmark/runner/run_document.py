"""Documents of a run and of its cases, made from the plan and the outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction

from benchmark.features.registry import weights_here
from benchmark.results import (
    AuditEntry,
    CaseCost,
    CaseResult,
    ContestantRef,
    Cost,
    DatasetRef,
    Run,
    Status,
    WeightRef,
)
from benchmark.runner.environment import device_facts, environment
from benchmark.runner.generate import CaseFailed, CaseFinished
from benchmark.runner.hosts.memory import peak_rss_mb
from benchmark.runner.prepared_run import PreparedRun
from benchmark.runner.summarize import summarize


def started_run(run: PreparedRun) -> Run:
    """Return the document of a run before its first frame."""
    info, plan, settings = run.info, run.plan, run.settings
    stored = run.folder.run()
    # Cases that an older version generated are not known to be isolated.
    unknown = stored is not None and stored.contestant.isolated is None and not settings.fresh
    generated = run.predictions is None
    return Run(
        schema="talkingpose.run/1",
        status="running",
        protocol=run.protocol.reference_of_run(),
        dataset=DatasetRef(
            location=settings.dataset,
            revision=run.dataset.revision,
            split=plan.split,
            cases_sha256=plan.cases_sha256,
            n_cases=len(plan.cases),
        ),
        contestant=ContestantRef(
            name=info.name,
            revision=info.revision,
            args=dict(info.args),
            origin="generated" if generated else "predictions",
            parameters=info.parameters,
            licence=info.licence,
            window=info.window,
            carry=info.carry,
            streams=info.streams,
            memory=info.memory,
            control=info.control,
            saw_driving_frames=info.needs_driving_frames,
            isolated=run.host.isolated if generated and not unknown else None,
            driving_frames=info.driving_frames,
            backbone=info.backbone,
        ),
        seed=settings.seed,
        limit=settings.limit,
        max_frames=settings.max_frames,
        comparable=settings.comparable,
        command=settings.command(),
        env={
            **environment(),
            **device_facts(run.device),
            "batch_size": settings.batch_size or info.batch_size,
        },
        weights=[WeightRef(name=name, sha256=sha256) for name, sha256 in _weights(run)],
        cases=[case.clip.clip_id for case in plan.cases],
        audit=list(plan.audit),
    )


def completed_run(run: PreparedRun, cases: Sequence[CaseResult], failures: Sequence[CaseFailed]) -> Run:
    """Return the document of a run with its numbers.

    Args:
        run: the run.
        cases: all finished cases, sorted by clip id.
        failures: failed cases of this process.
    """
    scored = {case.clip_id for case in cases}
    unscored = [*(_failure_entry(failure) for failure in failures), *_other_shards(run, scored)]
    numbers = summarize(run.folder, run.protocol, run.metrics, cases, len(run.plan.cases), run.control)
    return started_run(run).model_copy(
        update={
            "status": _status(len(cases), len(run.plan.cases), unscored),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "metrics": numbers.metrics,
            "drift": numbers.drift,
            "long_form": numbers.long_form,
            "robustness": numbers.robustness,
            "audit": [*_audit(run, cases), *sorted(unscored, key=lambda entry: str(entry.clip_id))],
            "cost": _cost(cases, run),
        }
    )


def case_document(run: PreparedRun, finished: CaseFinished) -> CaseResult:
    """Return the document of a finished case."""
    planned, scored = finished.planned, finished.scored
    clip_id = planned.clip.clip_id
    audit = [entry for entry in run.plan.audit if entry.clip_id == clip_id]
    if run.predictions is not None:
        audit += run.predictions.notes(clip_id)
    if scored.lag is not None:
        audit.append(lag_entry(clip_id, scored.lag))
    # Reading finished videos is a part of scoring.
    generation_s = finished.generation_s if run.predictions is None else 0.0
    scoring_s = finished.scoring_s + finished.generation_s - generation_s
    return CaseResult(
        schema="talkingpose.case/1",
        key=run.key(planned),
        clip_id=planned.clip.clip_id,
        split=planned.clip.split,
        cluster=planned.clip.group,
        seed=planned.seed,
        num_frames=planned.num_frames,
        width=planned.width,
        height=planned.height,
        fps=str(planned.clip.fps),
        metrics=scored.metrics,
        video=scored.video,
        features=scored.features,
        lossless=scored.lossless,
        frames_sha256=scored.frames_sha256,
        audit=audit,
        generation_s=generation_s,
        scoring_s=scoring_s,
        cost=CaseCost(
            seconds_per_frame=generation_s / planned.num_frames if run.predictions is None else None,
            scoring_s_per_frame=scoring_s / planned.num_frames,
            peak_rss_mb=peak_rss_mb() + run.host.peak_rss_mb(),
            peak_device_mb=run.host.peak_device_mb(run.device),
        ),
    )


def lag_entry(clip_id: str, lag: int) -> AuditEntry:
    """Return the audit entry of a constant lag, in frames; negative is early."""
    message = (
        f"warning: the motion is {abs(lag)} frames {'late' if lag > 0 else 'early'}; frame t is scored "
        "against frame t"
    )
    return AuditEntry(kind="lag", clip_id=clip_id, message=message)


def _weights(run: PreparedRun) -> list[tuple[str, str]]:
    """Return name and hash of the weight files of the contestant, then of the metrics."""
    read = [name for metric in run.metrics for name in metric.spec.reads]
    return [(weight.name, weight.sha256) for weight in run.info.weights] + list(weights_here(read).items())


def _status(num_scored: int, num_planned: int, unscored: Sequence[AuditEntry]) -> Status:
    if num_scored == num_planned:
        return "complete"
    pending = any(entry.kind == "pending" for entry in unscored)
    return "partial" if num_scored or pending else "failed"


def _other_shards(run: PreparedRun, scored: set[str]) -> list[AuditEntry]:
    """Return the clips of other shards that are not scored: failed there, or pending."""
    own = {case.clip.clip_id for case in run.own_cases}
    stored = run.folder.run()
    failed = {entry.clip_id: entry for entry in stored.audit if entry.kind == "failed"} if stored else {}
    pending = "not done yet: run the other shards, or the command without --shard"
    return [
        failed.get(clip_id) or AuditEntry(kind="pending", clip_id=clip_id, message=pending)
        for clip_id in (case.clip.clip_id for case in run.plan.cases)
        if clip_id not in scored and clip_id not in own
    ]


def _audit(run: PreparedRun, cases: Sequence[CaseResult]) -> list[AuditEntry]:
    """Return the audit of the plan, of the folder of predictions and of the cases."""
    of_folder = run.predictions.audit() if run.predictions else []
    known = list(run.plan.audit)
    # The file that a case was read from is named only in the case.
    seen = [entry for case in cases for entry in case.audit if entry.kind != "prediction"]
    return [*known, *of_folder, *(entry for entry in seen if entry not in known)]


def _failure_entry(failure: CaseFailed) -> AuditEntry:
    return AuditEntry(kind="failed", clip_id=failure.planned.clip.clip_id, message=failure.reason)


def _cost(cases: Sequence[CaseResult], run: PreparedRun) -> Cost:
    frames = sum(case.num_frames for case in cases)
    generation_s = sum(case.generation_s for case in cases)
    minutes = sum(case.num_frames / float(Fraction(case.fps)) for case in cases) / 60
    generated = bool(frames) and run.predictions is None
    return Cost(
        seconds_per_frame=generation_s / frames if generated else None,
        seconds_per_minute=generation_s / minutes if generated else None,
        generation_s=generation_s,
        scoring_s=sum(case.scoring_s for case in cases),
        peak_rss_mb=peak_rss_mb() + run.host.peak_rss_mb(),
        peak_device_mb=run.host.peak_device_mb(run.device),
        device=", ".join(device_facts(run.device).values()),
    )
