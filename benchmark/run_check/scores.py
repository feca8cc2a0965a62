"""Scores of a clip against the scores of its frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from benchmark.metrics import AnyMetric, SetMetric
from benchmark.results import CaseResult, CaseScore
from benchmark.run_check.problem import RunProblem, contradiction

Floats = npt.NDArray[np.float64]
Table = Mapping[str, Floats]

# Sums of the same numbers in another order differ in their last bits.
RELATIVE, ABSOLUTE = 1e-9, 1e-12
# Families whose score of a clip is the mean of its frame scores.
_MEANS = frozenset(
    (
        *("psnr", "ssim", "l1", "lpips", "tje", "flicker", "warp_error", "colour", "sharpness"),
        *("csim", "csim-arcface", "aed", "portrait_colour", "portrait_sharpness", "leak", "leak_identity"),
    )
)
# Families whose score of a clip is a weighted mean of its frame scores, with weights that are not stored.
_WEIGHTED = frozenset(["motion_ratio", "mkr", "mkr_target"])
# Scores of a clip that follow from frame scores of another metric, or from those of the frozen control.
_DERIVED = frozenset(["psnr_pooled", "seam_energy", "tje_skill"])


def family(metric_id: str) -> str:
    """Family of a metric: `psnr` of `psnr.face`, `tje` of `tje@2`."""
    return metric_id.partition("@")[0].partition(".")[0]


def is_recomputable(metric: AnyMetric) -> bool:
    """True where stored frame scores or features determine the metric, or its bounds for a weighted mean."""
    return isinstance(metric, SetMetric) or family(metric.spec.id) in _MEANS | _DERIVED | _WEIGHTED


def check_scores(
    case: CaseResult, table: Table, metrics: Sequence[AnyMetric], window: int | None
) -> Iterator[RunProblem]:
    """Check the scores of a clip against its frame scores.

    Args:
        case: the clip.
        table: its frame scores, float64 (num_frames,) by metric, NaN where there is none.
        metrics: of the run's protocol.
        window: number of frames that the contestant generates together, if it says so.
    """
    where = f"cases/{case.clip_id}.json"
    for metric in metrics:
        score, spec = case.metrics.get(metric.spec.id), metric.spec
        if score is None or not spec.per_frame:
            continue
        if spec.id not in table:
            yield contradiction(where, f"{spec.id}: frames/{case.clip_id}.parquet has no such column")
            continue
        scores = table[spec.id][~np.isnan(table[spec.id])]
        problem = _mean_problem(score, scores) if family(spec.id) in _MEANS else None
        if family(spec.id) in _WEIGHTED and len(scores) == len(table[spec.id]) - spec.lookback:
            problem = _range_problem(score, scores)
        if problem is not None:
            yield contradiction(where, f"{spec.id}: {problem}")
    for name, expected in _derived(case, table, window).items():
        found = case.metrics[name].value
        if (expected is None) != (found is None) or (
            expected is not None and found is not None and not same_number(expected, found, 1e-6)
        ):
            yield contradiction(where, f"{name}: frame scores give {_text(expected)}, it is {_text(found)}")
    if (broken := _broken_law(case, table)) is not None:
        yield contradiction(f"frames/{case.clip_id}.parquet", broken)


def same_number(one: float, other: float, relative: float = RELATIVE) -> bool:
    """True for numbers that are equal up to rounding."""
    return math.isclose(one, other, rel_tol=relative, abs_tol=ABSOLUTE)


def _mean_problem(score: CaseScore, scores: Floats) -> str | None:
    counted = score.n_frames - score.n_infinite
    if len(scores) != counted:
        return f"{len(scores)} frames have a finite score, it counts {counted}"
    mean = float(scores.mean()) if len(scores) else None
    if (mean is None) != (score.value is None):
        return f"the frame scores give {_text(mean)}, it is {_text(score.value)}"
    if mean is not None and score.value is not None and not same_number(mean, score.value):
        return f"the frame scores give {mean:.6g}, it is {score.value:.6g}"
    return None


def _range_problem(score: CaseScore, scores: Floats) -> str | None:
    if score.value is None or not len(scores):
        return None
    low, high = float(scores.min()), float(scores.max())
    inside = low - 1e-9 <= score.value <= high + 1e-9
    return None if inside else f"frame scores lie in [{low:.6g}, {high:.6g}], it is {score.value:.6g}"


def _derived(case: CaseResult, table: Table, window: int | None) -> dict[str, float | None]:
    """Scores of a clip that follow from frame scores of another metric."""
    found: dict[str, float | None] = {}
    if "psnr_pooled" in case.metrics and "psnr" in table:
        # Frames without a finite score are identical to the real ones: their error is 0.
        error = np.nan_to_num(10 ** (-table["psnr"] / 10), nan=0.0).mean()
        found["psnr_pooled"] = -10 * math.log10(error) if error > 0 else None
    if "seam_energy" in case.metrics and "tje@1" in table and case.metrics["seam_energy"].state == "ok":
        error, frames = table["tje@1"], np.arange(case.num_frames)
        seams = (frames % window == 0) & (frames > 0) if window else np.zeros(case.num_frames, bool)
        inside = ~seams & (frames > 0)
        has_ratio = seams.any() and inside.any() and error[inside].mean() > 0
        found["seam_energy"] = float(error[seams].mean() / error[inside].mean()) if has_ratio else None
    return found


def _broken_law(case: CaseResult, table: Table) -> str | None:
    """Return a relation between metrics that holds for any two videos, and that these frame scores break."""
    if "l1" not in table:
        return None
    mean_error = table["l1"]
    if "psnr" in table:
        root_square_error = 255 * 10 ** (-np.nan_to_num(table["psnr"], nan=np.inf) / 20)
        if (mean_error > root_square_error * (1 + 1e-6) + 1e-9).any():
            return "psnr is higher than l1 allows: the mean error cannot exceed the root mean square error"
    for name, values in table.items():
        if family(name) != "tje" or not name.partition("@")[2].isdigit():
            continue
        delta = int(name.partition("@")[2])
        if not 0 < delta < case.num_frames:
            continue
        bound = mean_error[delta:] + mean_error[:-delta]
        if (np.nan_to_num(values[delta:], nan=0.0) > bound * (1 + 1e-6) + 1e-9).any():
            return f"{name} is higher than l1 of its two frames together"
    return None


def _text(value: float | None) -> str:
    return "null" if value is None else f"{value:.6g}"
