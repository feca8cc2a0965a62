"""Numbers of `run.json` against the cases of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.analysis.robustness import number_of_clips
from benchmark.metrics import AnyMetric
from benchmark.protocols.perturbations import clip_of
from benchmark.protocols.protocol import Protocol, ProtocolError, load_protocol
from benchmark.results import CaseResult, ResultError, RobustnessCurve, Run
from benchmark.run_check.problem import RunProblem, contradiction, remark, unchecked
from benchmark.run_check.scores import ABSOLUTE, RELATIVE
from benchmark.run_dir import RunDir
from benchmark.runner.codec_control import CodecControl
from benchmark.runner.summarize import metrics_under, summarize
from talkingpose.data.contestant import case_seed

_RUN = "run.json"


def installed_protocol(run: Run) -> Protocol | RunProblem:
    """Find the protocol of a run, or return why it is not the one installed here."""
    name = f"{run.protocol.id}@{run.protocol.version}"
    try:
        protocol = load_protocol(name)
    except ProtocolError:
        return unchecked(_RUN, f"its numbers cannot be checked: protocol {name} is not installed here")
    if protocol.sha256() != run.protocol.sha256:
        return unchecked(_RUN, f"its numbers cannot be checked: made under other rules of {name}")
    return protocol


def check_listing(run: Run, cases: Mapping[str, CaseResult]) -> Iterator[RunProblem]:
    """Check the list of clips, the status and the flags of a run against each other and against its cases."""
    listed = set(run.cases)
    if len(listed) != len(run.cases) or len(listed) != run.dataset.n_cases:
        yield contradiction(_RUN, f"names {len(listed)} clips, its dataset has {run.dataset.n_cases}")
    unscored = unscored_clips(run)
    if not unscored <= listed:
        yield contradiction(_RUN, "its audit names a failed clip that is not in its list")
    for clip_id in sorted(unscored & cases.keys()):
        yield remark(f"cases/{clip_id}.json", "this clip failed or is pending according to the audit")
    if run.status == "complete" and unscored:
        yield contradiction(_RUN, f"it is complete, and {len(unscored)} of its clips are not scored")
    if run.status in ("running", "failed"):
        yield unchecked(_RUN, f"the run is {run.status}")
    limits = {entry.kind for entry in run.audit} & {"limit", "max-frames"}
    limited = run.limit is not None or run.max_frames is not None or bool(limits)
    if run.comparable and limited:
        yield contradiction(_RUN, "it is marked as comparable, and was limited")
    if (run.limit is None and "limit" in limits) or (run.max_frames is None and "max-frames" in limits):
        yield contradiction(_RUN, "its audit names a limit that its settings do not have")
    if run.limit is not None and number_of_clips(run.cases) > run.limit:
        yield contradiction(_RUN, f"names {len(run.cases)} clips, and its limit is {run.limit}")
    for clip_id, case in cases.items():
        where = f"cases/{clip_id}.json"
        if case.seed != case_seed(run.seed, clip_of(clip_id)):
            yield contradiction(where, "its seed is not that of the run and the clip")
        if run.max_frames is not None and case.num_frames > run.max_frames:
            yield contradiction(where, f"{case.num_frames} frames, and the limit is {run.max_frames}")


def check_summaries(
    folder: RunDir,
    run: Run,
    cases: Sequence[CaseResult],
    protocol: Protocol,
    metrics: Sequence[AnyMetric],
    controls: Sequence[RunDir] = (),
) -> Iterator[RunProblem]:
    """Compute the numbers of a run again from its cases, frame scores and features, and compare them.

    Args:
        folder: of the run.
        run: its document.
        cases: its scored clips, sorted by id.
        protocol: of the run.
        metrics: those of the protocol that the run has.
        controls: runs that may be the codec control of the long form.
    """
    lacking = sorted(set(run.metrics) - {metric.spec.id for metric in metrics})
    lacking += [m.spec.id for m in metrics if any(m.spec.id not in case.metrics for case in cases)]
    if lacking:
        yield contradiction(_RUN, f"metric {lacking[0]} is not in its protocol, or not in every case")
        return
    try:
        control = _codec_control(run, protocol, controls)
        numbers = summarize(folder, protocol, metrics, cases, run.dataset.n_cases, control)
    except (ResultError, ValueError, ArithmeticError, LookupError, MemoryError) as error:
        yield contradiction(_RUN, f"its numbers cannot be computed again: {error}")
        return
    for name, summary in numbers.metrics.items():
        stored = run.metrics[name]
        if not _same(summary.model_dump(), stored.model_dump()):
            yield contradiction(
                _RUN, f"metric {name}: {_difference(summary.model_dump(), stored.model_dump())}"
            )
    if run.drift.keys() != numbers.drift.keys():
        yield contradiction(_RUN, "drift: not the metrics that have a score for every frame")
    for name, curve in numbers.drift.items():
        if name in run.drift and not _same(curve.model_dump(), run.drift[name].model_dump()):
            yield contradiction(_RUN, f"drift of {name}: the frame scores give another curve")
    if not _same(_dumped(numbers.robustness), _dumped(run.robustness)):
        yield contradiction(_RUN, "robustness: the cases give other curves")
    if run.long_form is None:
        return
    if numbers.long_form is None:
        yield unchecked(
            _RUN, f"its horizons cannot be checked without the run of {run.long_form.control[:60]}"
        )
    elif not _same(numbers.long_form.model_dump(), run.long_form.model_dump()):
        yield contradiction(_RUN, "long form: the frame scores of run and control give other curves")


def checkable_metrics(run: Run, protocol: Protocol) -> list[AnyMetric]:
    """List the metrics of the protocol that the run has."""
    return [metric for metric in metrics_under(protocol) if metric.spec.id in run.metrics]


def unscored_clips(run: Run) -> set[str]:
    """Ids of the clips that failed or are not done."""
    return {str(entry.clip_id) for entry in run.audit if entry.kind in ("failed", "pending")}


def _codec_control(run: Run, protocol: Protocol, controls: Sequence[RunDir]) -> CodecControl | None:
    if run.long_form is None:
        return None
    for folder in controls:
        try:
            control = CodecControl(
                folder.path, protocol, cases_sha256=run.dataset.cases_sha256, max_frames=run.max_frames
            )
        except ValueError:
            continue
        if control.run.contestant.revision == run.long_form.revision:
            return control
    return None


def _dumped(curves: Mapping[str, Mapping[str, RobustnessCurve]] | None) -> Any:
    return {
        name: {kind: curve.model_dump() for kind, curve in kinds.items()}
        for name, kinds in (curves or {}).items()
    }


def _same(one: Any, other: Any) -> bool:
    """Compare documents; numbers are equal up to rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(one == other)


def _difference(computed: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    name = next(key for key in computed if not _same(computed[key], stored[key]))
    return f"the cases give {name} {computed[name]}, it is {stored[name]}"
