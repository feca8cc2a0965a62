"""Loss under perturbed poses: perturbed minus unperturbed score of the same clips, against strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.analysis.statistics import intervals
from benchmark.protocols.perturbations import case_id, clip_of, is_perturbed
from benchmark.protocols.protocol import RobustnessRule
from benchmark.results import CaseResult, RobustnessCurve
from benchmark.rules import Aggregation


def robustness(
    cases: Sequence[CaseResult], metrics: Sequence[str], rule: RobustnessRule, aggregation: Aggregation
) -> dict[str, dict[str, RobustnessCurve]]:
    """Return metric -> kind -> curve of the mean change over clips with its interval over clusters."""
    known = {case.clip_id: case for case in cases}
    clean = [case for case in cases if not is_perturbed(case.clip_id)]
    found: dict[str, dict[str, RobustnessCurve]] = {}
    for metric in metrics:
        for kind, strengths in rule.strengths.items():
            table = np.array(
                [
                    [
                        _change(known, case, case_id(case.clip_id, kind, level), metric)
                        for level in range(1, len(strengths) + 1)
                    ]
                    for case in clean
                ],
                dtype=np.float64,
            ).reshape(len(clean), len(strengths))
            counts = (~np.isnan(table)).sum(axis=0)
            if counts.any():
                means = [
                    float(np.nanmean(column)) if n else None
                    for column, n in zip(table.T, counts, strict=True)
                ]
                found.setdefault(metric, {})[kind] = RobustnessCurve(
                    strength=list(strengths),
                    change=means,
                    ci95=intervals(table, [case.cluster for case in clean], aggregation),
                    n_clips=[int(number) for number in counts],
                )
    return found


def unperturbed(cases: Sequence[CaseResult]) -> list[CaseResult]:
    """Return the cases with the poses of the dataset."""
    return [case for case in cases if not is_perturbed(case.clip_id)]


def number_of_clips(case_ids: Sequence[str]) -> int:
    """Return the number of clips that cases were made of."""
    return len({clip_of(case) for case in case_ids})


def _change(known: Mapping[str, CaseResult], clean: CaseResult, perturbed: str, metric: str) -> float:
    other = known.get(perturbed)
    if other is None:
        return np.nan
    before, after = clean.metrics[metric].value, other.metrics[metric].value
    return np.nan if before is None or after is None else after - before
