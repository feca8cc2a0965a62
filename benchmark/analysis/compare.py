"""Comparison of two runs on the same clips: difference, interval and verdict of every metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from benchmark.analysis.multiple_testing import ASSUMPTION, least_p
from benchmark.analysis.paired import MetricDifference, ScoredRun, paired_differences, roles_of
from benchmark.analysis.seeds import VarianceParts, variance_parts
from benchmark.analysis.statistics import FEW_PERSONS
from benchmark.errors import EvaluationError
from benchmark.protocols.perturbations import is_perturbed
from benchmark.protocols.protocol import load_protocol
from benchmark.results import CaseResult, Document, Run, read_case, read_run
from benchmark.run_dir import RunDir, seed_folders


class ComparisonError(EvaluationError):
    """Two runs that cannot be compared."""


class Side(Document):
    """One of the two runs."""

    run: str
    name: str
    revision: str
    origin: str


class Comparison(Document):
    """Result of `tp-eval compare A B`."""

    schema_version: Literal["talkingpose.comparison/1"] = "talkingpose.comparison/1"
    a: Side
    b: Side
    protocol: str
    alpha: float
    assumption: str = ASSUMPTION
    metrics: list[MetricDifference]
    # Metric -> parts of the variance of run A; empty where A is a single run.
    variance: dict[str, VarianceParts] = Field(default_factory=dict)
    notes: list[str]

    @property
    def decidable(self) -> bool:
        """True if some data could have shown a difference in at least one metric."""
        return any(row.p is not None and least_p(row.n_clusters) < self.alpha for row in self.metrics)

    @property
    def regressions(self) -> list[str]:
        """Metrics in which B is worse."""
        return [row.metric for row in self.metrics if row.verdict == "worse"]


@dataclass(frozen=True)
class _Opened(ScoredRun):
    """A run on disk; of several seeds, means over them, and the runs they are of."""

    seeds: tuple[_Opened, ...] = ()


def compare(
    run_a: Path | str, run_b: Path | str, *, metrics: Sequence[str] | None = None, alpha: float = 0.05
) -> Comparison:
    """Compare two runs clip by clip.

    Args:
        run_a: folder of the baseline run, or of its runs with several seeds (`tp-eval --seeds`), whose scores
            are averaged clip by clip.
        run_b: folder of the run or runs to judge.
        metrics: ids (`tje@2`) or families (`tje`, `psnr`) to compare. None compares all that both have: those
            that the protocol names as primary first, the others as secondary. Name what you mean to compare
            before you see the numbers.
        alpha: level of the adjusted p-value below which a difference counts.

    Raises:
        ComparisonError: the runs do not hold the same clips under the same protocol, or no such metric.
        ResultError: there is no run, or it cannot be read.

    Example:
        >>> from benchmark import compare
        >>> compare("runs/base", "runs/new", metrics=["tje"]).regressions  # doctest: +SKIP
        []
    """
    if not 0 < alpha < 1:
        raise ComparisonError(f"--alpha {alpha}: give a number between 0 and 1")
    a, b = _open(Path(run_a)), _open(Path(run_b))
    _check_same(a, b)
    protocol = load_protocol(f"{a.run.protocol.id}@{a.run.protocol.version}")
    names = _chosen(a.run, b.run, metrics)
    rows = paired_differences(
        a, b, roles_of(names, () if metrics is not None else protocol.primary), protocol.aggregation, alpha
    )
    for row in rows:
        if row.difference is not None:
            _check_stated(a, row.metric)
            _check_stated(b, row.metric)
    found = Comparison(
        a=_side(a),
        b=_side(b),
        protocol=f"{a.run.protocol.id}@{a.run.protocol.version} {a.run.protocol.sha256}",
        alpha=alpha,
        metrics=rows,
        variance=_variance(a, [row.metric for row in rows]),
        notes=_notes(a, b),
    )
    undecidable = _undecidable(found)
    return found if undecidable is None else found.model_copy(update={"notes": [undecidable, *found.notes]})


def _expanded(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """Ids for names of metrics and families: `tje` stands for `tje@1`, `tje@2`, ..."""
    found = []
    for name in wanted:
        family = [one for one in known if one.startswith((f"{name}@", f"{name}."))]
        found += [name] if name in known else []
        found += family if "@" not in name and "." not in name else []
    return list(dict.fromkeys(found))


def _undecidable(found: Comparison) -> str | None:
    """Line for a comparison that can show no difference whatever the data; None otherwise."""
    if found.decidable:
        return None
    persons = max((row.n_clusters for row in found.metrics), default=0)
    if persons < FEW_PERSONS:
        return f"no difference can be shown with {persons} persons: at least {FEW_PERSONS} are needed"
    if all(row.p is None for row in found.metrics):
        return "no difference can be shown: no metric has a number on every clip of both runs"
    return (
        f"no difference can be shown: the smallest p-value of {persons} persons is {least_p(persons):.3g}, "
        f"--alpha is {found.alpha:g}"
    )


def _open(path: Path) -> _Opened:
    """Open a run, or the means of the runs with several seeds."""
    folders = seed_folders(path)
    if not folders:
        return _open_single(path)
    runs = [_open_single(folder) for folder in folders]
    for other in runs[1:]:
        _check_same(runs[0], other)
        same = ("name", "revision", "args", "origin")
        name = next(
            (n for n in same if getattr(other.run.contestant, n) != getattr(runs[0].run.contestant, n)), None
        )
        if name is not None:
            raise ComparisonError(f"{other.path}: another {name} than {runs[0].path}: move it away")
    cases = {clip_id: _mean_case([run.cases[clip_id] for run in runs]) for clip_id in runs[0].cases}
    summaries = {}
    for name, summary in runs[0].run.metrics.items():
        values = [case.metrics[name].value for case in cases.values() if name in case.metrics]
        known = [value for value in values if value is not None]
        mean = float(np.mean(known)) if known else None
        summaries[name] = summary.model_copy(update={"value": mean, "ci95": None})
    return _Opened(path, runs[0].run.model_copy(update={"metrics": summaries}), cases, tuple(runs))


def _mean_case(cases: Sequence[CaseResult]) -> CaseResult:
    """Return the case of a clip with means over seeds; no value where a seed has none."""
    metrics = {}
    for name, score in cases[0].metrics.items():
        values = [case.metrics[name].value for case in cases if name in case.metrics]
        complete = len(values) == len(cases) and None not in values
        mean = float(np.mean([value for value in values if value is not None])) if complete else None
        metrics[name] = score.model_copy(update={"value": mean})
    return cases[0].model_copy(update={"metrics": metrics})


def _variance(side: _Opened, metrics: Sequence[str]) -> dict[str, VarianceParts]:
    """Return the parts of the variance of the metrics that every seed measured on every clip."""
    clip_ids = sorted(side.cases)
    if len(side.seeds) < 2 or len(clip_ids) < 2:
        return {}
    persons = [side.cases[clip_id].cluster for clip_id in clip_ids]
    found = {}
    for name in metrics:
        if all(side.cases[clip_id].metrics[name].value is not None for clip_id in clip_ids):
            table = [[run.cases[clip_id].metrics[name].value for clip_id in clip_ids] for run in side.seeds]
            found[name] = variance_parts(np.array(table, dtype=np.float64), persons)
    return found


def _open_single(path: Path) -> _Opened:
    run = read_run(path)
    if run.status == "running":
        raise ComparisonError(f"{path}: its run is not finished: run the same tp-eval command again")
    folder = RunDir(path)
    cases: dict[str, CaseResult] = {}
    failed = {entry.clip_id for entry in run.audit if entry.kind in ("failed", "pending")}
    for clip_id in run.cases:
        # The numbers of a run are those of its unperturbed cases.
        if clip_id in failed or is_perturbed(clip_id):
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
    unknown = next((name for name in asked or () if not _expanded([name], both)), None)
    if unknown is not None:
        raise ComparisonError(f"--metrics {unknown}: not in both runs: choose from {', '.join(both)}")
    names = both if asked is None else _expanded(asked, both)
    if not names:
        raise ComparisonError("the runs have no metric in common: nothing can be compared")
    other = next((name for name in names if a.metrics[name].version != b.metrics[name].version), None)
    if other is not None:
        raise ComparisonError(f"metric {other}: two versions: rescore the older run")
    return names


def _check_stated(side: _Opened, name: str) -> None:
    """Check that the mean over the clips is the number of the run."""
    values = [side.cases[clip_id].metrics[name].value for clip_id in sorted(side.cases)]
    mean = np.array(values, dtype=np.float64).mean()
    stated = side.run.metrics[name].value
    if stated is None or not np.isclose(mean, stated, rtol=1e-9, atol=1e-12):
        raise ComparisonError(
            f"{side.path}: {name} of its cases is {mean:.6g}, run.json says {stated}: the run was "
            "changed: run tp-eval validate on it"
        )


def _side(side: _Opened) -> Side:
    who = side.run.contestant
    return Side(run=str(side.path), name=who.name, revision=who.revision, origin=who.origin)


def _notes(of_a: _Opened, of_b: _Opened) -> list[str]:
    """Remarks on the runs."""
    a, b = of_a.run, of_b.run
    notes = [
        f"{name}: means over {len(side.seeds)} seeds"
        for name, side in (("A", of_a), ("B", of_b))
        if side.seeds
    ]
    if not (a.comparable and b.comparable):
        notes.append("a limit (--limit, --max-frames) makes these runs unfit for a ranking")
    if a.contestant.origin != b.contestant.origin:
        notes.append("one run scored finished videos, the other frames as generated: encoding counts too")
    return notes


def comparison_table(found: Comparison) -> str:
    """The comparison as lines of text; a comparison that can show nothing says so first."""
    undecidable = _undecidable(found)
    lines = [undecidable, ""] if undecidable else []
    lines += [f"A: {found.a.name} ({found.a.run})", f"B: {found.b.name} ({found.b.run})"]
    for role in ("primary", "secondary"):
        rows = [row for row in found.metrics if row.role == role]
        if rows:
            heading = "metric" if len(rows) == len(found.metrics) else f"{role} metric"
            head = (heading, "A", "B", "B - A", "95 % interval", "adjusted p", "B is")
            lines += ["", *_aligned([head, *map(_cells, rows)])]
    if found.variance:
        parts = ("standard deviation of A", "seed", "person", "clip", "seed on a clip", "")
        lines += ["", *_aligned([parts, *(_parts(*item) for item in found.variance.items())])]
    notes = [note for note in found.notes if note != undecidable]
    return "\n".join([*lines, "", *(f"note: {note}" for note in notes), f"assumption: {found.assumption}"])


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines with the first column to the left, numbers to the right and the verdict as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines


def _parts(metric: str, parts: VarianceParts) -> tuple[str, ...]:
    variances = (parts.seed, parts.person, parts.clip, parts.residual)
    return metric, *("-" if variance is None else f"{variance**0.5:.4f}" for variance in variances), ""


def _cells(row: MetricDifference) -> tuple[str, ...]:
    a, b, difference = ("-" if v is None else f"{v:.4f}" for v in (row.a, row.b, row.difference))
    interval = "-" if row.ci95 is None else f"{row.ci95[0]:.4f} to {row.ci95[1]:.4f}"
    p = "-" if row.p_adjusted is None else f"{row.p_adjusted:.4f}"
    verdict = row.verdict if row.reason is None else f"{row.verdict}: {row.reason}"
    return row.metric, a, b, difference, interval, p, verdict
