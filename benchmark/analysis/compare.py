"""Two runs on the same clips: is the difference of a metric real?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmark.analysis.statistics import FEW_CLUSTERS, interval_method, intervals
from benchmark.errors import EvaluationError
from benchmark.protocols.protocol import load_protocol
from benchmark.results import CaseResult, Direction, Document, Run, read_case, read_run
from benchmark.run_dir import RunDir

Floats = npt.NDArray[np.float64]
Verdict = Literal[
    "better", "worse", "different", "no difference shown", "too few clusters to judge", "unknown"
]

# All sign patterns are tried where there are no more of them than this: up to 14 clusters.
_PATTERNS = 2**14


class ComparisonError(EvaluationError):
    """Two runs cannot be compared: one line that says why and what to do."""


class MetricDifference(Document):
    """How run B differs from run A in one metric.

    `difference` is the mean over clips of B minus A, `ci95` its interval over people. `p` is that of a
    two-sided sign-flip permutation test over people, `p_adjusted` after Holm's correction for all metrics of
    the comparison that have a p. `verdict` speaks of B. Null where `reason` says why there is none.
    """

    metric: str
    unit: str
    direction: Direction
    a: float | None
    b: float | None
    difference: float | None = None
    ci95: tuple[float, float] | None = None
    interval: str | None = None
    p: float | None = None
    p_adjusted: float | None = None
    n_cases: int
    n_clusters: int
    verdict: Verdict
    reason: str | None = None


class Side(Document):
    """One of the two runs."""

    run: str
    name: str
    revision: str
    origin: str


class Comparison(Document):
    """The answer of `tp-eval compare A B`."""

    schema_version: Literal["talkingpose.comparison/1"] = "talkingpose.comparison/1"
    a: Side
    b: Side
    protocol: str
    alpha: float
    metrics: list[MetricDifference]
    notes: list[str]

    @property
    def regressions(self) -> list[str]:
        """Metrics in which B is worse."""
        return [row.metric for row in self.metrics if row.verdict == "worse"]


@dataclass(frozen=True)
class _Opened:
    """A run with its cases, by clip id."""

    path: Path
    run: Run
    cases: Mapping[str, CaseResult]


def compare(
    folder_a: Path, folder_b: Path, *, metrics: Sequence[str] | None = None, alpha: float = 0.05
) -> Comparison:
    """Compare two runs clip by clip.

    Args:
        folder_a: the run to compare with.
        folder_b: the run to judge.
        metrics: ids of the metrics to compare; None takes all that both have. Fewer metrics need less
            correction: name those that were meant before the numbers were seen.
        alpha: level of the adjusted p below which a difference counts.

    Raises:
        ComparisonError: the runs do not hold the same clips under the same rules, or no such metric.
        ResultError: there is no run, or it cannot be read.
    """
    if not 0 < alpha < 1:
        raise ComparisonError(f"--alpha {alpha}: give a number between 0 and 1")
    a, b = _open(folder_a), _open(folder_b)
    _check_same(a, b)
    chosen = _chosen(a.run, b.run, metrics)
    rows = adjusted([_row(a, b, name) for name in chosen], alpha)
    return Comparison(
        a=_side(a),
        b=_side(b),
        protocol=f"{a.run.protocol.id}@{a.run.protocol.version} {a.run.protocol.sha256}",
        alpha=alpha,
        metrics=rows,
        notes=_notes(a.run, b.run, rows, alpha),
    )


def sign_flip_p(differences: Floats, clusters: Sequence[str]) -> float:
    """Two-sided p of the hypothesis that the clusters' differences are symmetric about 0.

    The sums of the clusters change sign independently under it; the statistic is their total, which is the
    mean over clips times their number. All patterns are tried up to 14 clusters, 16384 random ones above.

    Args:
        differences: float64 (clips,).
        clusters: what each clip belongs to.
    """
    from scipy.stats import permutation_test

    names = sorted(set(clusters))
    sums = np.zeros(len(names))
    np.add.at(sums, [names.index(cluster) for cluster in clusters], differences)
    if not sums.any():
        return 1.0
    # In one scale, so that the test's tolerance for ties is one of rounding.
    sums /= np.abs(sums).max()
    found = permutation_test(
        (sums,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PATTERNS,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p in the order given, at most 1."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    found, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        found[index] = least
    return found


def adjusted(rows: Sequence[MetricDifference], alpha: float) -> list[MetricDifference]:
    """The rows with Holm's correction over those that have a p, and their verdicts."""
    found = list(rows)
    tested = [index for index, row in enumerate(rows) if row.p is not None]
    for index, p in zip(tested, holm([rows[index].p or 0.0 for index in tested]), strict=True):
        verdict = _verdict(rows[index], p, alpha)
        found[index] = rows[index].model_copy(update={"p_adjusted": p, "verdict": verdict})
    return found


def _verdict(row: MetricDifference, p: float, alpha: float) -> Verdict:
    if p >= alpha or not row.difference:
        return "no difference shown"
    if row.direction == "none":
        return "different"
    return "better" if (row.difference > 0) == (row.direction == "higher") else "worse"


def _open(path: Path) -> _Opened:
    run = read_run(path)
    if run.status == "running":
        raise ComparisonError(f"{path}: its run is not finished: run the same tp-eval command again")
    folder = RunDir(path)
    cases: dict[str, CaseResult] = {}
    failed = {entry.clip_id for entry in run.audit if entry.kind in ("failed", "pending")}
    for clip_id in run.cases:
        if clip_id in failed:
            continue
        case = read_case(folder.case(clip_id))
        if case.clip_id != clip_id:
            raise ComparisonError(f"{folder.case(clip_id)}: is of clip {case.clip_id}: the run was changed")
        cases[clip_id] = case
    if not cases:
        raise ComparisonError(f"{path}: no clip of the run was scored: nothing can be compared")
    return _Opened(path, run, cases)


def _check_same(a: _Opened, b: _Opened) -> None:
    """Same rules, same clips, same people; else which differ."""
    both = f"{a.path} and {b.path}"
    if a.run.protocol.sha256 != b.run.protocol.sha256:
        names = [f"{r.protocol.id}@{r.protocol.version} ({r.protocol.sha256[:12]})" for r in (a.run, b.run)]
        raise ComparisonError(
            f"{both}: made under different rules, {names[0]} and {names[1]}: run one of them again"
        )
    alone = sorted(a.cases.keys() ^ b.cases.keys())
    if alone:
        one = a if alone[0] in a.cases else b
        more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
        raise ComparisonError(
            f"{both}: not the same clips: {alone[0]}{more} scored in {one.path} alone: complete the other run"
        )
    facts = {
        "clips of the dataset": (a.run.dataset.cases_sha256, b.run.dataset.cases_sha256),
        "--max-frames": (a.run.max_frames, b.run.max_frames),
    }
    for what, (of_a, of_b) in facts.items():
        if of_a != of_b:
            raise ComparisonError(f"{both}: other {what}: run one of them again on the other's dataset")
    for clip_id, case in a.cases.items():
        other = b.cases[clip_id]
        same = ("num_frames", "width", "height", "fps", "cluster")
        name = next((n for n in same if getattr(case, n) != getattr(other, n)), None)
        if name is not None:
            raise ComparisonError(f"{both}: clip {clip_id} differs in {name}: run one of them again")


def _chosen(a: Run, b: Run, asked: Sequence[str] | None) -> list[str]:
    both = [name for name in a.metrics if name in b.metrics]
    names = both if asked is None else list(dict.fromkeys(asked))
    unknown = next((name for name in names if name not in both), None)
    if unknown is not None:
        raise ComparisonError(f"--metrics {unknown}: not in both runs: choose of {', '.join(both)}")
    if not names:
        raise ComparisonError("the runs have no metric in common: nothing can be compared")
    other = next((name for name in names if a.metrics[name].version != b.metrics[name].version), None)
    if other is not None:
        raise ComparisonError(f"metric {other}: of two versions: rescore the older run")
    return names


def _row(a: _Opened, b: _Opened, name: str) -> MetricDifference:
    """One metric without correction."""
    summary = a.run.metrics[name]
    clip_ids = sorted(a.cases)
    clusters = [a.cases[clip_id].cluster for clip_id in clip_ids]
    row = MetricDifference(
        metric=name,
        unit=summary.unit,
        direction=summary.direction,
        a=summary.value,
        b=b.run.metrics[name].value,
        n_cases=len(clip_ids),
        n_clusters=len(set(clusters)),
        verdict="unknown",
    )
    lack = _lacking(a, name) or _lacking(b, name)
    if lack is not None:
        return row.model_copy(update={"reason": lack})
    of_a, of_b = _values(a, name, clip_ids), _values(b, name, clip_ids)
    differences = of_b - of_a
    rule = load_protocol(f"{a.run.protocol.id}@{a.run.protocol.version}").aggregation
    found = {
        "difference": float(differences.mean()),
        "ci95": intervals(differences[:, None], clusters, rule)[0],
        "interval": interval_method(row.n_clusters, rule),
    }
    if row.n_clusters < FEW_CLUSTERS:
        few = f"{row.n_clusters} of the {FEW_CLUSTERS} people that a judgement takes"
        return row.model_copy(update={**found, "verdict": "too few clusters to judge", "reason": few})
    return row.model_copy(update={**found, "p": sign_flip_p(differences, clusters)})


def _lacking(side: _Opened, name: str) -> str | None:
    """Why there is no number for every clip, None where there is."""
    for clip_id, case in sorted(side.cases.items()):
        score = case.metrics.get(name)
        if score is None or score.value is None:
            given = "no score" if score is None else score.reason or "one number for all clips"
            return f"{side.path}, clip {clip_id}: {given}"
    return None


def _values(side: _Opened, name: str, clip_ids: Sequence[str]) -> Floats:
    """The clips' scores, whose mean must be the number of the run."""
    values = np.array([side.cases[clip_id].metrics[name].value for clip_id in clip_ids], dtype=np.float64)
    stated = side.run.metrics[name].value
    if stated is None or not np.isclose(values.mean(), stated, rtol=1e-9, atol=1e-12):
        raise ComparisonError(
            f"{side.path}: {name} of its cases is {values.mean():.6g}, run.json says {stated}: the run was "
            "changed: run tp-eval validate on it"
        )
    return values


def _side(side: _Opened) -> Side:
    who = side.run.contestant
    return Side(run=str(side.path), name=who.name, revision=who.revision, origin=who.origin)


def _notes(a: Run, b: Run, rows: Sequence[MetricDifference], alpha: float) -> list[str]:
    """What a reader must know beside the rows."""
    notes = []
    if not (a.comparable and b.comparable):
        notes.append("a limit (--limit, --max-frames) makes these runs unfit for a ranking")
    if a.contestant.origin != b.contestant.origin:
        notes.append("one run scored finished videos, the other frames as generated: encoding counts too")
    tested = [row for row in rows if row.p is not None]
    if tested:
        least = len(tested) * 2.0 ** (1 - tested[0].n_clusters)
        if least >= alpha:
            notes.append(
                f"{tested[0].n_clusters} people cannot show a difference in {len(tested)} metrics at once "
                f"(least adjusted p {least:.3f}): choose fewer with --metrics"
            )
    return notes


def comparison_table(found: Comparison) -> str:
    """The comparison as lines of text."""
    head = ("metric", "A", "B", "B - A", "95 % interval", "adjusted p", "B is")
    rows = [head, *(_cells(row) for row in found.metrics)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [f"A: {found.a.name} ({found.a.run})", f"B: {found.b.name} ({found.b.run})", ""]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def _cells(row: MetricDifference) -> tuple[str, ...]:
    a, b, difference = ("-" if v is None else f"{v:.4f}" for v in (row.a, row.b, row.difference))
    interval = "-" if row.ci95 is None else f"{row.ci95[0]:.4f} to {row.ci95[1]:.4f}"
    p = "-" if row.p_adjusted is None else f"{row.p_adjusted:.4f}"
    verdict = row.verdict if row.reason is None else f"{row.verdict}: {row.reason}"
    return row.metric, a, b, difference, interval, p, verdict
