"""Table of metrics against controls: `python tools/control_table.py CODEC_RUN RUN...`.

For every metric and clip the excess of a run is how much worse its score is than that of the codec control:
the difference in the bad direction, or the difference of the distances to the target. A cell is the mean
excess over clips in standard errors of that mean, with clips taken as independent. Positive: the metric
detects the corruption; negative: it prefers the corrupted video to a re-encoded original.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmark.analysis.drift import bins, slope
from benchmark.metrics import MetricSpec
from benchmark.protocols.protocol import Protocol, load_protocol
from benchmark.results import CaseResult, read_case, read_run
from benchmark.run_dir import RunDir
from benchmark.runner.codec_control import CodecControl
from benchmark.runner.scorer import read_frame_scores
from benchmark.runner.summarize import metrics_under

Excess = dict[str, list[float]]


def tables(control: Path, runs: Sequence[Path]) -> str:
    """Return two Markdown tables: scores of clips, and their slopes over time.

    Raises:
        UserError: a folder is not a run, or its clips or protocol differ from those of the control.
    """
    reference = read_run(control)
    protocol = load_protocol(f"{reference.protocol.id}@{reference.protocol.version}")
    codec = CodecControl(
        control, protocol, cases_sha256=reference.dataset.cases_sha256, max_frames=reference.max_frames
    )
    specs = [metric.spec for metric in metrics_under(protocol)]
    names = [read_run(path).contestant.name for path in runs]
    scores, slopes = [], []
    for path in runs:
        pairs = [
            (read_case(RunDir(path).case(clip_id)), read_case(RunDir(control).case(clip_id)))
            for clip_id in reference.cases
        ]
        scores.append({spec.id: _excesses(spec, pairs) for spec in specs})
        slopes.append({spec.id: _slopes(spec, pairs, path, codec, protocol) for spec in specs})
    first = _table("clip", names, [_column(column) for column in scores], specs)
    second = _table("slope", names, [_column(column) for column in slopes], specs)
    return f"{first}\n{second}"


def _excesses(spec: MetricSpec, pairs: Sequence[tuple[CaseResult, CaseResult]]) -> list[float]:
    values = [(case.metrics[spec.id].value, other.metrics[spec.id].value) for case, other in pairs]
    return [_worse(spec, own, other) for own, other in values if own is not None and other is not None]


def _worse(spec: MetricSpec, own: float, other: float) -> float:
    if spec.target is not None:
        return abs(own - spec.target) - abs(other - spec.target)
    return own - other if spec.direction == "lower" else other - own


def _slopes(
    spec: MetricSpec,
    pairs: Sequence[tuple[CaseResult, CaseResult]],
    path: Path,
    codec: CodecControl,
    protocol: Protocol,
) -> list[float]:
    """Return the Theil-Sen slope per 100 frames of the excess of each clip, in bins of one second."""
    found = []
    for case, _ in pairs if spec.per_frame else ():
        own = read_frame_scores(RunDir(path).frames(case.clip_id), spec.id)
        other = codec.frame_scores(case.clip_id, spec.id)
        if spec.target is not None:
            excess = np.abs(own - spec.target) - np.abs(other - spec.target)
        else:
            excess = own - other if spec.direction == "lower" else other - own
        fps = Fraction(case.fps)
        per_100 = slope(bins(excess, fps), fps, protocol.drift.min_bins)
        if math.isfinite(per_100):
            found.append(per_100)
    return found


def _column(excesses: Mapping[str, Sequence[float]]) -> dict[str, str]:
    return {name: _cell(values) for name, values in excesses.items()}


def _cell(values: Sequence[float]) -> str:
    """Return mean over standard error as text."""
    if len(values) < 2:
        return ""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    if abs(mean) < 1e-9:
        return "0"
    ratio = mean / error if error > 0 else math.copysign(math.inf, mean)
    if abs(ratio) > 99:
        return ">99" if ratio > 0 else "<-99"
    return f"{ratio:.0f}" if abs(ratio) >= 10 else f"{ratio:.1f}"


def _table(
    what: str, names: Sequence[str], columns: Sequence[Mapping[str, str]], specs: Sequence[MetricSpec]
) -> str:
    lines = [f"| {what} | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for spec in specs:
        cells = [column[spec.id] for column in columns]
        if any(cells):
            lines.append(f"| `{spec.id}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(tables(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
