"""Scores a run anew from the frames that it kept, without generating again."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmark.data.bundled import open_dataset
from benchmark.errors import EvaluationError
from benchmark.features.contract import Arrays
from benchmark.features.registry import weights_here
from benchmark.metrics import AnyMetric, CaseShape, SetMetric
from benchmark.metrics.scoring import Scoring
from benchmark.protocols.protocol import Protocol, load_protocol
from benchmark.results import CaseResult, Run, StoredFeatures, WeightRef, read_case, read_run, write_document
from benchmark.run_dir import RunDir
from benchmark.runner.codec_control import CodecControl
from benchmark.runner.inputs import prepare_inputs
from benchmark.runner.plan import PlannedCase, plan_run
from benchmark.runner.scorer import file_sha256, npz, read_features
from benchmark.runner.summarize import metrics_under, summarize
from talkingpose.data.clips import ClipDataset
from talkingpose.media import VideoReader

if TYPE_CHECKING:
    import pyarrow

Image = npt.NDArray[np.uint8]


class RescoreError(EvaluationError):
    """A run cannot be scored anew: one line that says why and what to do."""


def rescore(
    path: Path,
    *,
    dataset: str | None,
    metrics: Sequence[str] | None,
    statistics: bool,
    say: Callable[[str], None],
    codec_run: Path | None = None,
    add: Sequence[str] = (),
) -> Run:
    """Renew metrics of a run, add those that its protocol has and it lacks, and fold its numbers again.

    The frames are those of `tp-eval run --keep-frames`: they are lossless and must have the hash that the run
    noted as it scored them, so a renewed score is the old one bit for bit where nothing else changed. The
    videos beside a run are encoded; a score of theirs would be another number.

    Args:
        path: folder of the run.
        dataset: of the run; None takes the place that the run names.
        metrics: ids; None takes all of the protocol as it is installed. With ids the run must be of that
            very protocol. Those of all clips together need no frames where their features are stored.
        statistics: only fold what is stored again: means, intervals, curves, metrics of all clips together.
        say: is told of each clip.
        codec_run: a run of the codec control; without it a run that is scored anew has no long form.
        add: groups of metrics to take on; the run is one of the protocol with these groups afterwards.

    Raises:
        RescoreError: no kept frames, other frames or clips than those of the run, or no such metric.
        UserError: run, dataset or protocol cannot be read.
    """
    folder = RunDir(path)
    run, cases = _open(folder)
    if add and (statistics or metrics is not None):
        raise RescoreError(
            "--add: needs all metrics under the new protocol: give no --metrics, no --statistics"
        )
    protocol = load_protocol(f"{'+'.join([run.protocol.id, *add])}@{run.protocol.version}")
    everything = metrics_under(protocol)
    if statistics or metrics is not None:
        _check_rules(run, protocol)
    chosen = _chosen(everything, metrics, protocol)
    control = _control(codec_run, protocol, run)
    if run.dataset.n_cases != len(run.cases):
        raise RescoreError(f"{path}: names {len(run.cases)} clips of {run.dataset.n_cases}: it was changed")
    with folder.locked():
        if not statistics and (metrics is None or any(_needs_frames(metric, cases) for metric in chosen)):
            _check_kept(folder, cases, chosen)
            rescored = _Rescored(folder, run, protocol, everything, chosen, metrics is None)
            cases = list(rescored.cases(cases, _planned(run, protocol, dataset or run.dataset.location), say))
            run = run.model_copy(update={"long_form": None})
        run = _with_numbers(folder, run, protocol, everything, cases, control)
        folder.write_run(run)
    return run


class _Rescored:
    """The way of each case through the metrics once more."""

    def __init__(
        self,
        folder: RunDir,
        run: Run,
        protocol: Protocol,
        everything: Sequence[AnyMetric],
        chosen: Sequence[AnyMetric],
        all_of_them: bool,
    ) -> None:
        self._folder, self._run, self._protocol, self._chosen = folder, run, protocol, chosen
        self._names = [metric.spec.id for metric in everything]
        self._all = all_of_them

    def cases(
        self,
        cases: Sequence[CaseResult],
        planned: tuple[ClipDataset, dict[str, PlannedCase]],
        say: Callable[[str], None],
    ) -> Iterator[CaseResult]:
        """Each case with its new scores, once it is written."""
        dataset, by_id = planned
        for number, case in enumerate(cases, start=1):
            yield self._case(case, by_id[case.clip_id], dataset)
            say(f"{number}/{len(cases)} {case.clip_id}: {case.num_frames} frames scored anew")

    def _case(self, case: CaseResult, planned: PlannedCase, dataset: ClipDataset) -> CaseResult:
        scoring = self._scored(case, planned, dataset)
        scores, arrays = scoring.finish()
        old = {} if self._all else case.metrics
        known = {**old, **scores}
        features = self._place_features(case, arrays)
        self._place_table(case, scoring.frame_table())
        rules = f"{case.key} {self._protocol.sha256()}"
        same_rules = self._run.protocol.sha256 == self._protocol.sha256()
        renewed = case.model_copy(
            update={
                "metrics": {name: known[name] for name in self._names if name in known},
                "features": features,
                "key": case.key if same_rules else hashlib.sha256(rules.encode()).hexdigest(),
            }
        )
        write_document(renewed, self._folder.case(case.clip_id))
        return renewed

    def _scored(self, case: CaseResult, planned: PlannedCase, dataset: ClipDataset) -> Scoring:
        clip = planned.clip
        stage = prepare_inputs(dataset, planned)
        shape = CaseShape(
            case.clip_id, clip.fps, case.width, case.height, case.num_frames, self._run.contestant.window
        )
        scoring = Scoring(shape, stage.reference, self._chosen)
        digest = hashlib.sha256()
        try:
            for points, generated in zip(stage.keypoints, self._kept(case), strict=False):
                real = stage.footage.next() if stage.footage is not None else None
                if real is None and stage.footage is not None:
                    break
                scoring.window.push(real, generated, points)
                scoring.score()
                digest.update(generated.data)
        finally:
            stage.close()
        if digest.hexdigest() != case.frames_sha256 or scoring.window.t + 1 != case.num_frames:
            raise RescoreError(
                f"{self._folder.path}, clip {case.clip_id}: the kept frames are not those that were scored: "
                "generate it again"
            )
        return scoring

    def _kept(self, case: CaseResult) -> Iterator[Image]:
        assert case.lossless is not None
        with VideoReader(self._folder.path / case.lossless.path) as reader:
            for frame in reader:
                yield np.ascontiguousarray(frame.image)

    def _place_features(self, case: CaseResult, arrays: dict[str, Arrays]) -> StoredFeatures | None:
        path = self._folder.features(case.clip_id)
        if not arrays:
            return None if self._all else case.features
        kept = None if self._all else case.features
        old = {} if kept is None else read_features(self._folder.path / kept.path)
        _place(npz({**old, **arrays}), path)
        return StoredFeatures(path=f"features/{path.name}", sha256=file_sha256(path))

    def _place_table(self, case: CaseResult, new: pyarrow.Table) -> None:
        import pyarrow
        import pyarrow.parquet

        path = self._folder.frames(case.clip_id)
        if not self._all:
            old = pyarrow.parquet.read_table(path)
            columns = {name: old.column(name) for name in old.column_names}
            columns |= {name: new.column(name) for name in new.column_names}
            new = pyarrow.table({name: columns[name] for name in ("t", *self._names) if name in columns})
        buffer = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(new, buffer)
        _place(buffer.getvalue().to_pybytes(), path)


def _open(folder: RunDir) -> tuple[Run, list[CaseResult]]:
    run = read_run(folder.path)
    if run.status not in ("complete", "partial"):
        raise RescoreError(f"{folder.path}: its run is {run.status}: run the same tp-eval command again")
    unscored = {entry.clip_id for entry in run.audit if entry.kind in ("failed", "pending")}
    cases = [read_case(folder.case(clip_id)) for clip_id in run.cases if clip_id not in unscored]
    for clip_id, case in zip((c for c in run.cases if c not in unscored), cases, strict=True):
        if case.clip_id != clip_id:
            raise RescoreError(f"{folder.case(clip_id)}: is of clip {case.clip_id}: the run was changed")
    return run, cases


def _check_rules(run: Run, protocol: Protocol) -> None:
    if run.protocol.sha256 != protocol.sha256():
        raise RescoreError(
            f"the run was made under other rules of {protocol.name} ({run.protocol.sha256[:12]}, now "
            f"{protocol.sha256()[:12]}): rescore all metrics"
        )


def _chosen(
    everything: Sequence[AnyMetric], asked: Sequence[str] | None, protocol: Protocol
) -> list[AnyMetric]:
    if asked is None:
        return list(everything)
    known = {metric.spec.id: metric for metric in everything}
    unknown = next((name for name in asked if name not in known), None)
    if unknown is not None:
        raise RescoreError(f"--metrics {unknown}: not in {protocol.name}: it has {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(asked)]


def _needs_frames(metric: AnyMetric, cases: Sequence[CaseResult]) -> bool:
    """Whether a metric must see the frames; one of all clips together may have all it needs in store."""
    name = metric.spec.id
    stored = all(name in case.metrics and case.metrics[name].state == "ok" for case in cases)
    return not (isinstance(metric, SetMetric) and stored)


def _check_kept(folder: RunDir, cases: Sequence[CaseResult], metrics: Sequence[AnyMetric]) -> None:
    names = ", ".join(metric.spec.id for metric in metrics[:3])
    more = ", ..." if len(metrics) > 3 else ""
    for case in cases:
        path = folder.path / case.lossless.path if case.lossless is not None else None
        if path is None or case.lossless is None or not path.is_file():
            raise RescoreError(
                f"{folder.path}, clip {case.clip_id}: its frames were not kept, and {names}{more} of its "
                "encoded video would be another number: run it again with --keep-frames, or give --statistics"
            )
        if file_sha256(path) != case.lossless.sha256:
            raise RescoreError(f"{path}: is not the file that was written: run the clip again")


def _planned(run: Run, protocol: Protocol, location: str) -> tuple[ClipDataset, dict[str, PlannedCase]]:
    """The clips of the run; refused where the dataset holds others."""
    dataset = open_dataset(location)
    plan = plan_run(
        dataset,
        protocol,
        split=run.dataset.split if run.dataset.split in dataset.splits else None,
        limit=run.limit,
        max_frames=run.max_frames,
        seed=run.seed,
    )
    if plan.cases_sha256 != run.dataset.cases_sha256:
        raise RescoreError(
            f"--dataset {location}: holds other clips than those of the run: give the dataset it was made on"
        )
    return dataset, {case.clip.clip_id: case for case in plan.cases}


def _with_numbers(
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
            "weights": [WeightRef(name=name, sha256=sha256) for name, sha256 in weights.items()],
        }
    )


def _command(words: str, protocol: Protocol) -> str:
    """The command line of the run, with the protocol that it is of now."""
    given = shlex.split(words)
    if "--protocol" in given[:-1]:
        given[given.index("--protocol") + 1] = protocol.name
    return shlex.join(given)


def _control(path: Path | None, protocol: Protocol, run: Run) -> CodecControl | None:
    if path is None:
        return None
    return CodecControl(path, protocol, cases_sha256=run.dataset.cases_sha256, max_frames=run.max_frames)


def _place(data: bytes, path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
