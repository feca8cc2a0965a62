"""Paired differences of two scored runs over the clips that both have: interval, test and verdict per metric.

`tp-eval compare` and the board both call `paired_differences`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark.analysis.multiple_testing import paired_test
from benchmark.analysis.statistics import FEW_PERSONS, Floats, interval_method, intervals
from benchmark.protocols.perturbations import is_perturbed
from benchmark.results import CaseResult, Direction, Document, Run
from benchmark.rules import BOOTSTRAP_T, Aggregation

Verdict = Literal[
    "better", "worse", "different", "no difference shown", "too few clusters to judge", "unknown"
]
Role = Literal["primary", "secondary"]


class MetricDifference(Document):
    """Difference of run B from run A in one metric.

    Attributes:
        role: primary metrics are those that `--metrics` or the protocol names. Each role is adjusted alone.
        difference: mean over clips of B minus A; `ci95` is its interval over persons.
        p: two-sided p-value of `multiple_testing.paired_test`; `p_adjusted` is adjusted for all metrics of
            the role that have one.
        verdict: judgement of B.
        reason: cause of a null.
    """

    metric: str
    role: Role = "primary"
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


@dataclass(frozen=True)
class ScoredRun:
    """A run with the cases that have scores, by clip id."""

    path: Path
    run: Run
    cases: Mapping[str, CaseResult]

    @classmethod
    def of(cls, path: Path, run: Run, cases: Mapping[str, CaseResult]) -> ScoredRun:
        """Leave out the cases with perturbed poses: the numbers of a run are those of the others."""
        return cls(path, run, {name: case for name, case in cases.items() if not is_perturbed(name)})


def roles_of(names: Sequence[str], primary: Sequence[str]) -> dict[Role, list[str]]:
    """Sort metrics into the two roles, in their order; without `primary` all are primary."""
    if not primary:
        return {"primary": list(names)}
    return {
        "primary": [name for name in names if name in primary],
        "secondary": [name for name in names if name not in primary],
    }


def paired_differences(
    a: ScoredRun,
    b: ScoredRun,
    roles: Mapping[Role, Sequence[str]],
    rule: Aggregation,
    alpha: float = 0.05,
) -> list[MetricDifference]:
    """Compare two runs clip by clip, over the clips that both have.

    Args:
        a: the baseline.
        b: the run to judge.
        roles: ids of metrics that both runs have in the same version. The p-values of a role are adjusted for
            all of its metrics.
        rule: level, number of resamples and seed of the intervals.
        alpha: level of the adjusted p-value below which a difference counts.

    Returns:
        One row per metric, in the order of `roles`. A metric without a number on a clip has a reason and no
        difference.
    """
    clip_ids = sorted(a.cases.keys() & b.cases.keys())
    persons = [a.cases[clip_id].cluster for clip_id in clip_ids]
    rows = []
    for role, names in roles.items():
        rows += _judged(_measured(a, b, names, role, clip_ids, persons, rule), persons, alpha)
    return rows


def _measured(
    a: ScoredRun,
    b: ScoredRun,
    names: Sequence[str],
    role: Role,
    clip_ids: Sequence[str],
    persons: Sequence[str],
    rule: Aggregation,
) -> list[tuple[MetricDifference, Floats | None]]:
    """Rows with their intervals and without a test, each with the differences of the clips."""
    rows: list[tuple[MetricDifference, Floats | None]] = []
    for name in names:
        summary = a.run.metrics[name]
        row = MetricDifference(
            metric=name,
            role=role,
            unit=summary.unit,
            direction=summary.direction,
            a=summary.value,
            b=b.run.metrics[name].value,
            n_cases=len(clip_ids),
            n_clusters=len(set(persons)),
            verdict="unknown",
        )
        lack = _lacking(a, name, clip_ids) or _lacking(b, name, clip_ids)
        if lack is None and not clip_ids:
            lack = "no clip is in both runs"
        if lack is not None:
            rows.append((row.model_copy(update={"reason": lack}), None))
        else:
            rows.append((row, _values(b, name, clip_ids) - _values(a, name, clip_ids)))
    known = [(place, values) for place, (_, values) in enumerate(rows) if values is not None]
    if not known:
        return rows
    # The interval of a difference is no number of the protocol: it takes the method that holds best.
    rule = rule.model_copy(update={"interval": BOOTSTRAP_T})
    bounds = intervals(np.column_stack([values for _, values in known]), persons, rule)
    for (place, values), interval in zip(known, bounds, strict=True):
        row = rows[place][0]
        found = {
            "difference": float(values.mean()),
            "ci95": interval,
            "interval": interval_method(row.n_clusters, rule),
        }
        if row.n_clusters < FEW_PERSONS:
            few = f"{row.n_clusters} persons, at least {FEW_PERSONS} are needed"
            found |= {"verdict": "too few clusters to judge", "reason": few}
        rows[place] = (row.model_copy(update=found), values)
    return rows


def _judged(
    rows: Sequence[tuple[MetricDifference, Floats | None]], persons: Sequence[str], alpha: float
) -> list[MetricDifference]:
    """The rows of one role with p-values and verdicts."""
    tested = [
        (row.metric, values) for row, values in rows if values is not None and row.n_clusters >= FEW_PERSONS
    ]
    if not tested:
        return [row for row, _ in rows]
    p = paired_test(np.column_stack([values for _, values in tested]), persons)
    index = {name: place for place, (name, _) in enumerate(tested)}
    judged = []
    for row, _ in rows:
        if row.metric in index:
            adjusted = float(p.adjusted[index[row.metric]])
            found = {"p": float(p.raw[index[row.metric]]), "p_adjusted": adjusted}
            row = row.model_copy(update=found | {"verdict": _verdict(row, adjusted, alpha)})
        judged.append(row)
    return judged


def _verdict(row: MetricDifference, p: float, alpha: float) -> Verdict:
    if p >= alpha or not row.difference:
        return "no difference shown"
    if row.direction == "none":
        return "different"
    return "better" if (row.difference > 0) == (row.direction == "higher") else "worse"


def _lacking(side: ScoredRun, name: str, clip_ids: Sequence[str]) -> str | None:
    """Why there is no number for every clip, None where there is."""
    for clip_id in clip_ids:
        score = side.cases[clip_id].metrics.get(name)
        if score is None or score.value is None:
            given = "no score" if score is None else score.reason or "one number for all clips"
            return f"{side.path}, clip {clip_id}: {given}"
    return None


def _values(side: ScoredRun, name: str, clip_ids: Sequence[str]) -> Floats:
    return np.array([side.cases[clip_id].metrics[name].value for clip_id in clip_ids], dtype=np.float64)
