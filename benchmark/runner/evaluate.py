"""The whole run: dataset, contestant and protocol -> plan -> cases -> `run.json`."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmark.data.bundled import TP_MINI, open_dataset
from benchmark.errors import EvaluationError
from benchmark.features.registry import weights_here
from benchmark.metrics import AnyMetric
from benchmark.protocols.protocol import CrossProtocol, Protocol, load_protocol
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
    write_document,
)
from benchmark.run_dir import RunDir
from benchmark.runner.codec_control import CodecControl
from benchmark.runner.environment import environment, project_version
from benchmark.runner.generate import CaseFailed, CaseFinished, generate
from benchmark.runner.memory import peak_device_mb, peak_rss_mb
from benchmark.runner.plan import PlannedCase, RunPlan, batches, case_key, plan_run
from benchmark.runner.predictions import Predictions
from benchmark.runner.registry import make_contestant
from benchmark.runner.summarize import metrics_under, summarize
from talkingpose.data.clips import ClipDataset
from talkingpose.data.contestant import Contestant, ContestantInfo
from talkingpose.pipeline.device import pick_device


@dataclass(frozen=True)
class RunSettings:
    """What `tp-eval run` or `tp-eval score` was asked for; see their help.

    With `predictions`, a folder of finished videos, `model` is the name to show and `revision` that of the
    model that made them. `shard` is (which, of how many), counted from 1.
    """

    model: str
    dataset: str
    out: Path
    checkpoint: str | None = None
    model_args: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    protocol: str = "tp-long@1"
    limit: int | None = None
    max_frames: int | None = None
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None
    fresh: bool = False
    predictions: Path | None = None
    revision: str | None = None
    shard: tuple[int, int] | None = None
    keep_frames: bool = False
    codec_run: Path | None = None

    def command(self) -> str:
        """The command line that makes this run again, in one process."""
        given = self.predictions is not None
        options = {
            "--predictions": self.predictions,
            "--name" if given else "--model": self.model,
            "--revision": self.revision,
            "--checkpoint": self.checkpoint,
            "--model-args": ",".join(f"{key}={value}" for key, value in self.model_args.items()) or None,
            "--dataset": self.dataset,
            "--split": self.split,
            "--protocol": self.protocol,
            "--limit": self.limit,
            "--max-frames": self.max_frames,
            "--seed": self.seed,
            "--device": self.device,
            "--batch-size": self.batch_size,
            "--codec-run": self.codec_run,
            "--out": self.out,
        }
        words = [word for key, value in options.items() if value is not None for word in (key, str(value))]
        kept = ["--keep-frames"] if self.keep_frames else []
        return shlex.join(["tp-eval", *(["score"] if given else []), *words, *kept])


@dataclass(frozen=True)
class Progress:
    """Who is told of the progress of a run: lines of text, and numbers of frames as they are made."""

    say: Callable[[str], None] = lambda line: None
    planned: Callable[[int], None] = lambda frames: None
    made: Callable[[int], None] = lambda frames: None


@dataclass(frozen=True)
class _Job:
    """Everything that is settled before the first frame."""

    settings: RunSettings
    device: str
    protocol: Protocol
    protocol_sha256: str
    metrics: Sequence[AnyMetric]
    dataset: ClipDataset
    contestant: Contestant
    info: ContestantInfo
    plan: RunPlan
    predictions: Predictions | None
    control: CodecControl | None

    def key(self, case: PlannedCase) -> str:
        return case_key(
            case,
            protocol_sha256=self.protocol_sha256,
            contestant=self.info,
            metric_versions={metric.spec.id: metric.spec.version for metric in self.metrics},
            max_frames=self.settings.max_frames,
            project_version=project_version(),
            prediction=self.predictions.content(case.clip.clip_id) if self.predictions else None,
        )

    @property
    def batches(self) -> Iterator[tuple[PlannedCase, ...]]:
        """The batches of this process: all, or every n-th where it is one of n shards."""
        everything = batches(self.plan.cases, self.settings.batch_size or self.info.batch_size)
        which, number = self.settings.shard or (1, 1)
        return itertools.islice(everything, which - 1, None, number)

    @property
    def comparable(self) -> bool:
        return self.settings.limit is None and self.settings.max_frames is None


SILENT = Progress()


def evaluate(settings: RunSettings, listener: Progress = SILENT) -> Run:
    """Run a contestant over a dataset and write the folder of the run.

    A folder that holds part of the same run is completed. Cases that fail are listed in the audit, and the
    run is `partial`, or `failed` where none is left.

    Raises:
        UserError: something the user can mend; nothing is written then.
    """
    folder = RunDir(settings.out)
    folder.check()
    job = _prepare(settings)
    listener.say(_first_line(job))
    with _write_errors(folder.path), folder.locked(settings.shard):
        with folder.updating(settings.shard):
            _open_folder(folder, job)
            if settings.shard is None or folder.run() is None:
                folder.write_run(_started(job))
        failures = _generate_missing(folder, job, _done(folder, job), listener)
        with folder.updating(settings.shard):
            run = _completed(folder, job, failures)
            folder.write_run(run)
    return run


def dry_run(settings: RunSettings, listener: Progress = SILENT) -> list[PlannedCase]:
    """The clips that `evaluate` would still generate and score. Nothing is written.

    Raises:
        UserError: as `evaluate` would.
    """
    folder = RunDir(settings.out)
    folder.check()
    job = _prepare(settings)
    listener.say(_first_line(job))
    if settings.fresh:
        return list(job.plan.cases)
    _check_same(folder, job)
    done = _done(folder, job)
    return [case for batch in job.batches for case in batch if done[case.clip.clip_id] is None]


def clear_run(settings: RunSettings) -> None:
    """Empty the folder of the run, once it is known that the run can be made.

    Raises:
        UserError: as `evaluate` would; nothing is removed then.
    """
    folder = RunDir(settings.out)
    folder.check()
    _prepare(settings)
    with _write_errors(folder.path), folder.locked():
        folder.clear()


def _done(folder: RunDir, job: _Job) -> dict[str, CaseResult | None]:
    """The cases of the plan by clip id, None where one is still to do."""
    return {
        case.clip.clip_id: folder.finished(
            case.clip.clip_id, job.key(case), with_frames=job.settings.keep_frames
        )
        for case in job.plan.cases
    }


def _prepare(settings: RunSettings) -> _Job:
    """Everything that may be wrong with the request comes to light here, cheap things first."""
    if settings.batch_size is not None and settings.batch_size < 1:
        raise EvaluationError(f"--batch-size {settings.batch_size}: give a number from 1 on")
    _check_shard(settings)
    protocol = load_protocol(settings.protocol)
    metrics = metrics_under(protocol)
    device = pick_device(settings.device)
    dataset = open_dataset(settings.dataset)
    plan = plan_run(
        dataset,
        protocol,
        split=settings.split,
        limit=settings.limit,
        max_frames=settings.max_frames,
        seed=settings.seed,
    )
    predictions = _predictions(settings, plan)
    contestant = predictions or make_contestant(
        settings.model, checkpoint=settings.checkpoint, device=device, args=settings.model_args
    )
    info = contestant.info
    if info.needs_gpu and device == "cpu":
        raise EvaluationError(
            f"--model {settings.model}: needs a GPU, and this run is on the CPU: give --device cuda"
        )
    if info.needs_driving_frames and isinstance(protocol, CrossProtocol):
        raise EvaluationError(
            f"--model {settings.model}: asks for driving frames, and {protocol.name} has poses alone: give "
            "another model, or --protocol tp-long@1"
        )
    return _Job(
        settings,
        device,
        protocol,
        protocol.sha256(),
        metrics,
        dataset,
        contestant,
        info,
        plan,
        predictions,
        _control(settings, protocol, plan),
    )


def _control(settings: RunSettings, protocol: Protocol, plan: RunPlan) -> CodecControl | None:
    if settings.codec_run is None:
        return None
    if isinstance(protocol, CrossProtocol):
        raise EvaluationError(
            f"--codec-run {settings.codec_run}: {protocol.name} has no real video to encode: leave it out"
        )
    return CodecControl(
        settings.codec_run, protocol, cases_sha256=plan.cases_sha256, max_frames=settings.max_frames
    )


def _check_shard(settings: RunSettings) -> None:
    if settings.shard is None:
        return
    which, number = settings.shard
    if not 1 <= which <= number:
        raise EvaluationError(f"--shard {which}/{number}: give 1/{number} to {number}/{number}")
    if settings.fresh:
        raise EvaluationError("--fresh: other shards may be at work in the folder: choose another --out")


def _predictions(settings: RunSettings, plan: RunPlan) -> Predictions | None:
    if settings.predictions is None:
        return None
    lengths = {case.clip.clip_id: case.clip.num_frames for case in plan.cases}
    return Predictions(settings.predictions, lengths, name=settings.model, revision=settings.revision)


def _first_line(job: _Job) -> str:
    settings, plan = job.settings, job.plan
    named = settings.checkpoint or job.info.args.get("checkpoint")
    checkpoint = f" ({named})" if named else ""
    bundled = "bundled " if settings.dataset == TP_MINI else ""
    limits = " ".join(
        f"--{name} {value}"
        for name, value in (("limit", settings.limit), ("max-frames", settings.max_frames))
        if value is not None
    )
    clips = "clip" if len(plan.cases) == 1 else "clips"
    return (
        f"{job.info.name}{checkpoint}, protocol {job.protocol.name} ({job.protocol_sha256[:12]}), "
        f"{bundled}dataset {settings.dataset} ({plan.split}), {len(plan.cases)} {clips}, "
        f"{plan.num_frames} frames, seed {settings.seed}, {job.device}"
        + ("" if job.comparable else f"; not comparable: {limits}")
    )


def _open_folder(folder: RunDir, job: _Job) -> None:
    """Start afresh, go on, or refuse."""
    if job.settings.fresh:
        folder.clear()
    else:
        _check_same(folder, job)


def _check_same(folder: RunDir, job: _Job) -> None:
    """Refuse a folder that holds another run."""
    there = folder.run()
    difference = _difference(there, _started(job)) if there is not None else None
    if difference is not None:
        raise EvaluationError(
            f"--out {folder.path}: holds another run ({difference}): choose another folder, or give --fresh"
        )


def _difference(there: Run, asked: Run) -> str | None:
    """The first thing in which two runs differ that moves a number, None where they are one run."""
    pairs = {
        "model": (there.contestant.name, asked.contestant.name),
        "origin": (there.contestant.origin, asked.contestant.origin),
        "revision of the model": _revisions(there, asked),
        "settings of the model": (there.contestant.args, asked.contestant.args),
        "weights": ([w.sha256 for w in there.weights], [w.sha256 for w in asked.weights]),
        "protocol": (there.protocol, asked.protocol),
        "seed": (there.seed, asked.seed),
        "--limit": (there.limit, asked.limit),
        "--max-frames": (there.max_frames, asked.max_frames),
        "split": (there.dataset.split, asked.dataset.split),
        "clips of the dataset": (there.dataset.cases_sha256, asked.dataset.cases_sha256),
        "version of the project": (there.env.get("talkingpose"), asked.env.get("talkingpose")),
        # Floating point sums in another order on another device or for another size of the batch.
        "device": (there.env.get("device"), asked.env.get("device")),
        "--batch-size": (there.env.get("batch_size"), asked.env.get("batch_size")),
    }
    for what, (old, new) in pairs.items():
        if old != new:
            short = isinstance(old, str | int | None) and isinstance(new, str | int | None)
            return f"{what}: {_shortened(old)}, now {_shortened(new)}" if short else f"another {what}"
    return None


def _revisions(there: Run, asked: Run) -> tuple[str, str]:
    """Finished videos may be replaced and added: their cases' keys tell which are to be scored again."""
    same = there.contestant.origin == asked.contestant.origin == "predictions"
    return ("", "") if same else (there.contestant.revision, asked.contestant.revision)


def _shortened(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."


def _generate_missing(
    folder: RunDir, job: _Job, done: dict[str, CaseResult | None], listener: Progress
) -> list[CaseFailed]:
    """Generate what is not done, write each case as it ends into the folder and into `done`."""
    ours = [case for batch in job.batches for case in batch]
    missing = [case for case in ours if done[case.clip.clip_id] is None]
    if len(missing) < len(ours):
        listener.say(f"{len(ours) - len(missing)} of {len(ours)} clips are done already")
    listener.planned(sum(case.num_frames for case in missing))
    failures: list[CaseFailed] = []
    for ended, outcome in enumerate(_outcomes(folder, job, done, listener), start=1):
        clip_id = outcome.planned.clip.clip_id
        if isinstance(outcome, CaseFailed):
            failures.append(outcome)
            listener.say(f"{ended}/{len(missing)} {clip_id}: failed: {outcome.reason}")
        else:
            case = _case_document(job, outcome)
            write_document(case, folder.case(clip_id))
            done[clip_id] = case
            each = (case.generation_s or case.scoring_s) / case.num_frames
            listener.say(f"{ended}/{len(missing)} {clip_id}: {case.num_frames} frames, {each:.3f} s each")
    return sorted(failures, key=lambda failure: failure.planned.clip.clip_id)


def _outcomes(
    folder: RunDir, job: _Job, done: Mapping[str, CaseResult | None], listener: Progress
) -> Iterator[CaseFinished | CaseFailed]:
    """The outcome of every case that is not done. Where a batch breaks down its clips are tried alone."""
    generate_batch = partial(
        generate,
        dataset=job.dataset,
        contestant=job.contestant,
        metrics=job.metrics,
        folder=folder,
        seed=job.settings.seed,
        on_frame=listener.made,
        keep_frames=job.settings.keep_frames,
    )
    for batch in job.batches:
        todo = {case.clip.clip_id for case in batch if done[case.clip.clip_id] is None}
        alone: list[PlannedCase] = []
        for outcome in generate_batch(batch, todo) if todo else ():
            if isinstance(outcome, CaseFailed) and outcome.shared and len(batch) > 1:
                alone.append(outcome.planned)
            else:
                yield outcome
        for case in alone:
            yield from generate_batch([case], todo)


def _case_document(job: _Job, finished: CaseFinished) -> CaseResult:
    planned, recorded = finished.planned, finished.recorded
    clip_id = planned.clip.clip_id
    audit = [entry for entry in job.plan.audit if entry.clip_id == clip_id]
    if job.predictions is not None:
        audit += job.predictions.notes(clip_id)
    if recorded.lag is not None:
        audit.append(_lag_entry(clip_id, recorded.lag))
    # Nothing was generated where finished videos are scored: reading them is a part of scoring.
    generation_s = finished.generation_s if job.predictions is None else 0.0
    scoring_s = finished.scoring_s + finished.generation_s - generation_s
    return CaseResult(
        schema="talkingpose.case/1",
        key=job.key(planned),
        clip_id=planned.clip.clip_id,
        split=planned.clip.split,
        cluster=planned.clip.group,
        seed=planned.seed,
        num_frames=planned.num_frames,
        width=planned.width,
        height=planned.height,
        fps=str(planned.clip.fps),
        metrics=recorded.metrics,
        video=recorded.video,
        features=recorded.features,
        lossless=recorded.lossless,
        frames_sha256=recorded.frames_sha256,
        audit=audit,
        generation_s=generation_s,
        scoring_s=scoring_s,
        cost=CaseCost(
            seconds_per_frame=generation_s / planned.num_frames if job.predictions is None else None,
            scoring_s_per_frame=scoring_s / planned.num_frames,
            peak_rss_mb=peak_rss_mb(),
            peak_device_mb=peak_device_mb(job.device),
        ),
    )


def _lag_entry(clip_id: str, lag: int) -> AuditEntry:
    message = (
        f"warning: the motion is {abs(lag)} frames {'late' if lag > 0 else 'early'}; frames were scored as "
        "they stand, frame t with frame t"
    )
    return AuditEntry(kind="lag", clip_id=clip_id, message=message)


def _started(job: _Job) -> Run:
    """The run as far as it is known before the first frame."""
    info, plan, settings = job.info, job.plan, job.settings
    return Run(
        schema="talkingpose.run/1",
        status="running",
        protocol=job.protocol.reference_of_run(),
        dataset=DatasetRef(
            location=settings.dataset,
            revision=job.dataset.revision,
            split=plan.split,
            cases_sha256=plan.cases_sha256,
            n_cases=len(plan.cases),
        ),
        contestant=ContestantRef(
            name=info.name,
            revision=info.revision,
            args=dict(info.args),
            origin="generated" if job.predictions is None else "predictions",
            parameters=info.parameters,
            licence=info.licence,
            window=info.window,
            control=info.control,
            saw_driving_frames=info.needs_driving_frames,
        ),
        seed=settings.seed,
        limit=settings.limit,
        max_frames=settings.max_frames,
        comparable=job.comparable,
        command=settings.command(),
        env={**environment(), "device": job.device, "batch_size": settings.batch_size or info.batch_size},
        weights=[WeightRef(name=name, sha256=sha256) for name, sha256 in _weights(job)],
        cases=[case.clip.clip_id for case in plan.cases],
        audit=list(plan.audit),
    )


def _weights(job: _Job) -> list[tuple[str, str]]:
    """Name and hash of every weight file: those of the contestant, then those that metrics find here."""
    read = [name for metric in job.metrics for name in metric.spec.reads]
    return [(weight.name, weight.sha256) for weight in job.info.weights] + list(weights_here(read).items())


def _completed(folder: RunDir, job: _Job, failures: Sequence[CaseFailed]) -> Run:
    """The run with its numbers."""
    cases = [case for case in _done(folder, job).values() if case is not None]
    scored = {case.clip_id for case in cases}
    unscored = [*(_failure_entry(failure) for failure in failures), *_elsewhere(folder, job, scored)]
    numbers = summarize(folder, job.protocol, job.metrics, cases, len(job.plan.cases), job.control)
    return _started(job).model_copy(
        update={
            "status": _status(len(cases), len(job.plan.cases), unscored),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "metrics": numbers.metrics,
            "drift": numbers.drift,
            "long_form": numbers.long_form,
            "audit": [*_audit(job, cases), *sorted(unscored, key=lambda entry: str(entry.clip_id))],
            "cost": _cost(cases, job),
        }
    )


def _status(num_scored: int, num_planned: int, unscored: Sequence[AuditEntry]) -> Status:
    if num_scored == num_planned:
        return "complete"
    pending = any(entry.kind == "pending" for entry in unscored)
    return "partial" if num_scored or pending else "failed"


def _elsewhere(folder: RunDir, job: _Job, scored: set[str]) -> list[AuditEntry]:
    """What became of the clips of other shards that are not scored: failed there, or not yet done."""
    ours = {case.clip.clip_id for batch in job.batches for case in batch}
    there = folder.run()
    failed = {entry.clip_id: entry for entry in there.audit if entry.kind == "failed"} if there else {}
    waiting = "not done yet: run the other shards, or the command without --shard"
    return [
        failed.get(clip_id) or AuditEntry(kind="pending", clip_id=clip_id, message=waiting)
        for clip_id in (case.clip.clip_id for case in job.plan.cases)
        if clip_id not in scored and clip_id not in ours
    ]


def _audit(job: _Job, cases: Sequence[CaseResult]) -> list[AuditEntry]:
    """What a reader must know: of the plan, of the folder of predictions, of single cases."""
    of_folder = job.predictions.audit() if job.predictions else []
    known = list(job.plan.audit)
    # Which file a case was read from stands in the case alone.
    seen = [entry for case in cases for entry in case.audit if entry.kind != "prediction"]
    return [*known, *of_folder, *(entry for entry in seen if entry not in known)]


def _failure_entry(failure: CaseFailed) -> AuditEntry:
    return AuditEntry(kind="failed", clip_id=failure.planned.clip.clip_id, message=failure.reason)


def _cost(cases: Sequence[CaseResult], job: _Job) -> Cost:
    frames = sum(case.num_frames for case in cases)
    generation_s = sum(case.generation_s for case in cases)
    return Cost(
        seconds_per_frame=generation_s / frames if frames and job.predictions is None else None,
        generation_s=generation_s,
        scoring_s=sum(case.scoring_s for case in cases),
        peak_rss_mb=peak_rss_mb(),
        peak_device_mb=peak_device_mb(job.device),
        device=job.device,
    )


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """A full disk or a folder that vanished is for the user to mend."""
    try:
        yield
    except OSError as error:
        raise EvaluationError(
            f"--out {path}: cannot be written ({error.strerror or error}): check the disk, then run it again"
        ) from error
