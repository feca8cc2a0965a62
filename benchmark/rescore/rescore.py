"""Scores of a run computed again, without generating."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.features.contract import Arrays
from benchmark.features.registry import weights_here
from benchmark.metrics import AnyMetric, SetMetric
from benchmark.protocols.protocol import Protocol, load_protocol
from benchmark.rescore.kept_frames import KeptFrames, RescoreError, check_kept
from benchmark.results import CaseResult, Run, StoredFeatures, WeightRef, read_case, read_run, write_document
from benchmark.run_check import check_run
from benchmark.run_dir import RunDir
from benchmark.runner.codec_control import CodecControl
from benchmark.runner.scorer import file_sha256, npz, read_features
from benchmark.runner.summarize import metrics_under, summarize
from talkingpose.io.atomic import write_bytes
from talkingpose.io.progress import SILENT, Progress
from talkingpose.io.tables import read_table

if TYPE_CHECKING:
    import pyarrow

# Found by the check of a run, and repaired by the rescore itself.
_REPAIRED = ("run.json",)


def rescore(
    path: Path,
    *,
    dataset: str | None = None,
    metrics: Sequence[str] | None = None,
    statistics: bool = False,
    progress: Progress = SILENT,
    codec_run: Path | None = None,
    add: Sequence[str] = (),
) -> Run:
    """Compute metrics of a run again, add those that it lacks, and summarize.

    The frames are those of `tp-eval run --keep-frames`: they are lossless and must have the hash in the case,
    so a score is bit-identical unless the metric changed. The videos beside a run are encoded with loss and
    are not scored.

    Args:
        path: folder of the run.
        dataset: location of the dataset; None for the location that the run names.
        metrics: ids; None for all of the installed protocol. With ids, the run must be of that protocol.
            Metrics over all clips need no frames if their features are stored.
        statistics: only summarize the stored scores again: means, intervals, curves, metrics over all clips.
        progress: is told of each clip.
        codec_run: run of the codec control; without it a rescored run has no long form.
        add: groups of metrics to add; the run is then one of the protocol with these groups.

    Raises:
        RescoreError: the frames were not kept or changed, the dataset holds other clips, a metric is unknown,
            or stored scores of a case contradict its files.
        UserError: run, dataset or protocol cannot be read.
    """
    folder = RunDir(path)
    run, cases = open_run(folder)
    if add and (statistics or metrics is not None):
        raise RescoreError(
            "--add: needs all metrics under the new protocol: give no --metrics and no --statistics"
        )
    protocol = load_protocol(f"{'+'.join([run.protocol.id, *add])}@{run.protocol.version}")
    everything = metrics_under(protocol)
    if statistics or metrics is not None:
        check_rules(run, protocol)
    chosen = _chosen(everything, metrics, protocol)
    control = _control(codec_run, protocol, run)
    if run.dataset.n_cases != len(run.cases):
        raise RescoreError(f"{path}: names {len(run.cases)} clips of {run.dataset.n_cases}: it was changed")
    with folder.locked():
        if not statistics and (metrics is None or any(_needs_frames(metric, cases) for metric in chosen)):
            check_kept(folder, cases, chosen)
            frames = KeptFrames(folder, run, protocol, dataset)
            rescored = []
            for number, case in enumerate(cases, start=1):
                rescored.append(_rescored(folder, run, protocol, everything, chosen, frames, case, metrics))
                progress.message(f"{number}/{len(cases)} {case.clip_id}: {case.num_frames} frames scored")
            cases, run = rescored, run.model_copy(update={"long_form": None})
        if metrics is not None or statistics:
            _check_stored(path)
        run = _summarized(folder, run, protocol, everything, cases, control)
        folder.write_run(run)
    return run


def open_run(folder: RunDir) -> tuple[Run, list[CaseResult]]:
    """Read a finished run and its scored cases.

    Raises:
        RescoreError: the run is not finished, or a case is of another clip.
        ResultError: a document cannot be read.
    """
    run = read_run(folder.path)
    if run.status not in ("complete", "partial"):
        raise RescoreError(f"{folder.path}: its run is {run.status}: run the same tp-eval command again")
    unscored = {entry.clip_id for entry in run.audit if entry.kind in ("failed", "pending")}
    cases = []
    for clip_id in (clip_id for clip_id in run.cases if clip_id not in unscored):
        case = read_case(folder.case(clip_id))
        if case.clip_id != clip_id:
            raise RescoreError(f"{folder.case(clip_id)}: is of clip {case.clip_id}: the run was changed")
        cases.append(case)
    return run, cases


def check_rules(run: Run, protocol: Protocol) -> None:
    """Check that a run used the rules that are installed.

    Raises:
        RescoreError: it used others.
    """
    if run.protocol.sha256 != protocol.sha256():
        raise RescoreError(
            f"the run used other rules of {protocol.name} ({run.protocol.sha256[:12]}, now "
            f"{protocol.sha256()[:12]}): rescore all metrics"
        )


def _check_stored(path: Path) -> None:
    """Refuse stored scores that contradict the frame scores, features or videos of their case."""
    for problem in check_run(path).contradictions:
        if problem.where not in _REPAIRED:
            raise RescoreError(f"{path}, {problem.where}: {problem.message}: run the clip again")


def _rescored(
    folder: RunDir,
    run: Run,
    protocol: Protocol,
    everything: Sequence[AnyMetric],
    chosen: Sequence[AnyMetric],
    frames: KeptFrames,
    case: CaseResult,
    metrics: Sequence[str] | None,
) -> CaseResult:
    """Score a case again and write its files; the scores of other metrics are kept if `metrics` is given."""
    scoring = frames.score(case, chosen)
    scores, arrays = scoring.finish()
    kept = case if metrics is not None else None
    known = {**(kept.metrics if kept else {}), **scores}
    names = [metric.spec.id for metric in everything]
    features = _write_features(folder, case.clip_id, kept.features if kept else None, arrays)
    _write_table(folder, case.clip_id, names, scoring.frame_table(), merge=kept is not None)
    rules = f"{case.key} {protocol.sha256()}"
    same_rules = run.protocol.sha256 == protocol.sha256()
    rescored = case.model_copy(
        update={
            "metrics": {name: known[name] for name in names if name in known},
            "features": features,
            "key": case.key if same_rules else hashlib.sha256(rules.encode()).hexdigest(),
        }
    )
    write_document(rescored, folder.case(case.clip_id))
    return rescored


def _write_features(
    folder: RunDir, clip_id: str, kept: StoredFeatures | None, arrays: dict[str, Arrays]
) -> StoredFeatures | None:
    path = folder.features(clip_id)
    if not arrays:
        return kept
    old = {} if kept is None else read_features(folder.path / kept.path)
    write_bytes(path, npz({**old, **arrays}))
    return StoredFeatures(path=f"features/{path.name}", sha256=file_sha256(path))


def _write_table(
    folder: RunDir, clip_id: str, names: Sequence[str], new: pyarrow.Table, *, merge: bool
) -> None:
    import pyarrow
    import pyarrow.parquet

    path = folder.frames(clip_id)
    if merge:
        old = read_table(path, "frame scores")
        columns = {name: old.column(name) for name in old.column_names}
        columns |= {name: new.column(name) for name in new.column_names}
        new = pyarrow.table({name: columns[name] for name in ("t", *names) if name in columns})
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(new, buffer)
    write_bytes(path, buffer.getvalue().to_pybytes())


def _chosen(
    everything: Sequence[AnyMetric], names: Sequence[str] | None, protocol: Protocol
) -> list[AnyMetric]:
    if names is None:
        return list(everything)
    known = {metric.spec.id: metric for metric in everything}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise RescoreError(f"--metrics {unknown}: not in {protocol.name}: it has {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def _needs_frames(metric: AnyMetric, cases: Sequence[CaseResult]) -> bool:
    """Return whether a metric needs the frames; the features of a metric over all clips may be stored."""
    name = metric.spec.id
    stored = all(name in case.metrics and case.metrics[name].state == "ok" for case in cases)
    return not (isinstance(metric, SetMetric) and stored)


def _summarized(
    folder: RunDir,
    run: Run,
    protocol: Protocol,
    everything: Sequence[AnyMetric],
    cases: Sequence[CaseResult],
    control: CodecControl | None,
) -> Run:
    scored = [metric for metric in everything if all(metric.spec.id in case.metrics for case in cases)]
    numbers = summarize(folder, protocol, scored, cases, run.dataset.n_cases, control)
    weights = {weight.name: weight.sha256 for weight in run.weights}
    weights |= weights_here(name for metric in scored for name in metric.spec.reads)
    return run.model_copy(
        update={
            "protocol": protocol.reference_of_run(),
            "command": _command(run.command, protocol),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "metrics": numbers.metrics,
            "drift": numbers.drift,
            "long_form": numbers.long_form or run.long_form,
            "robustness": numbers.robustness,
            "weights": [WeightRef(name=name, sha256=sha256) for name, sha256 in weights.items()],
        }
    )


def _command(command: str, protocol: Protocol) -> str:
    """Return the command line of the run with the name of its present protocol."""
    words = shlex.split(command)
    if "--protocol" in words[:-1]:
        words[words.index("--protocol") + 1] = protocol.name
    return shlex.join(words)


def _control(path: Path | None, protocol: Protocol, run: Run) -> CodecControl | None:
    if path is None:
        return None
    return CodecControl(path, protocol, cases_sha256=run.dataset.cases_sha256, max_frames=run.max_frames)
