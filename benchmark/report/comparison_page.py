"""Page of two runs: differences with intervals, sentences to quote, and the frames where they differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.analysis.compare import Comparison, compare
from benchmark.analysis.paired import MetricDifference
from benchmark.protocols.perturbations import is_perturbed
from benchmark.report.control_rows import ReportError
from benchmark.report.number_format import NOTHING, between, measured, unit_text
from benchmark.report.pictures import Frames, RealFrames, data_uri, generated_frames, real_frames
from benchmark.report.quotable import comparison_sentence
from benchmark.report.run_page import (
    check_page,
    contradiction_text,
    frame_tables,
    metric_specs,
    wanted_frames,
    write_page,
)
from benchmark.report.worst_moments import Moment, widest_gaps
from benchmark.results import CaseResult
from benchmark.run_check import CheckedRun, check_run
from talkingpose.io.html_page import render
from talkingpose.io.progress import SILENT, Progress

_MOMENTS = 3


@dataclass(frozen=True)
class _Pictures:
    real: RealFrames
    a: Frames
    b: Frames


def write_comparison_page(
    a: Path,
    b: Path,
    out: Path,
    *,
    metrics: Sequence[str] | None = None,
    alpha: float = 0.05,
    dataset: str | None = None,
    progress: Progress = SILENT,
) -> Comparison:
    """Compare two runs and write the result as one HTML file.

    Args:
        a: folder of the baseline run.
        b: folder of the run to judge.
        out: path of the page.
        metrics, alpha: as in `compare`.
        dataset: location of the dataset, for the real frames; see `real_frames`.
        progress: receiver of progress.

    Raises:
        ReportError: the page cannot be written, or a run contradicts itself.
        ComparisonError: the runs cannot be compared.
        ResultError: a run cannot be read.
    """
    check_page(out)
    found = compare(a, b, metrics=metrics, alpha=alpha)
    if any(not (folder / "run.json").is_file() for folder in (a, b)):
        raise ReportError(f"{a}, {b}: a folder of several seeds: a page shows single runs: give OUT/seed-N")
    checked = [_checked(folder) for folder in (a, b)]
    cases = {clip: case for clip, case in checked[0].cases.items() if not is_perturbed(clip)}
    tables = [frame_tables(folder, cases) for folder in (a, b)]
    primary = [row.metric for row in found.metrics if row.role == "primary"]
    moments = {
        name: gaps for name in primary if (gaps := widest_gaps(name, cases, tables[0], tables[1], _MOMENTS))
    }
    wanted = wanted_frames(moments, primary)
    progress.start("pictures", 3, "video source")
    real = real_frames(checked[0].run, wanted, dataset)
    progress.advance()
    decoded, missing = [], []
    for one in checked:
        frames, lines = generated_frames(one.folder, one.cases, wanted)
        decoded.append(frames)
        missing += lines
        progress.advance()
    if real.reason:
        missing.insert(0, f"No real frames: {real.reason}")
    html = _html(found, checked, _Pictures(real, *decoded), moments, missing)
    write_page(out, html)
    return found


def _checked(folder: Path) -> CheckedRun:
    checked = check_run(folder)
    if checked.contradictions:
        raise ReportError(contradiction_text(checked))
    return checked


def _html(
    found: Comparison,
    checked: Sequence[CheckedRun],
    pictures: _Pictures,
    moments: Mapping[str, Sequence[Moment]],
    missing: Sequence[str],
) -> str:
    specs = metric_specs(checked[0].run)
    sentences = [
        sentence
        for row in found.metrics
        if row.role == "primary" and (sentence := comparison_sentence(found, row.metric)) is not None
    ]
    shown: set[tuple[str, int]] = set()
    values = {
        "a": found.a.name,
        "b": found.b.name,
        "facts": _facts(found, checked[0].cases),
        "sentences": sentences,
        "notes": found.notes,
        "assumption": found.assumption,
        "groups": [
            (role, [_row(row) for row in found.metrics if row.role == role])
            for role in ("primary", "secondary")
            if any(row.role == role for row in found.metrics)
        ],
        "moments": [
            {
                "metric": name,
                "title": specs[name].title if name in specs else "",
                "moments": [_moment(moment, pictures, found, shown) for moment in gaps],
            }
            for name, gaps in moments.items()
        ],
        "remarks": missing,
    }
    return render("benchmark.report", "comparison.html.j2", values, css="report.css")


def _moment(
    moment: Moment, pictures: _Pictures, found: Comparison, shown: set[tuple[str, int]]
) -> dict[str, Any]:
    key = (moment.clip_id, moment.frame)
    sides = [
        (pictures.real.label, pictures.real.frames.get(key)),
        (f"A: {found.a.name}", pictures.a.get(key)),
        (f"B: {found.b.name}", pictures.b.get(key)),
    ]
    anchor = f"moment-{moment.clip_id}-{moment.frame}"
    first = key not in shown
    shown.add(key)
    return {
        "clip": moment.clip_id,
        "frame": moment.frame,
        "seconds": f"{moment.seconds:.2f}",
        "value": f"A {measured(moment.other)}, B {measured(moment.value)}",
        "anchor": anchor if first else "",
        "link": "" if first else f"#{anchor}",
        "pictures": [(label, data_uri(image)) for label, image in sides if image is not None]
        if first
        else [],
    }


def _row(row: MetricDifference) -> dict[str, str]:
    return {
        "metric": row.metric,
        "a": measured(row.a, row.ci95),
        "b": measured(row.b, row.ci95),
        "difference": measured(row.difference, row.ci95),
        "interval": between(row.ci95),
        "p": NOTHING if row.p_adjusted is None else f"{row.p_adjusted:.3g}",
        "unit": unit_text(row.unit),
        "better": {"higher": "higher", "lower": "lower", "none": NOTHING}[row.direction],
        "verdict": row.verdict if row.reason is None else f"{row.verdict}: {row.reason}",
    }


def _facts(found: Comparison, cases: Mapping[str, CaseResult]) -> list[tuple[str, str]]:
    name, _, digest = found.protocol.partition(" ")
    return [
        ("A", f"{found.a.name}, revision {found.a.revision} ({Path(found.a.run).name})"),
        ("B", f"{found.b.name}, revision {found.b.revision} ({Path(found.b.run).name})"),
        ("Protocol", name),
        ("SHA-256 of the protocol", digest),
        ("Clips", f"{len(cases)} of {len({case.cluster for case in cases.values()})} persons"),
    ]
