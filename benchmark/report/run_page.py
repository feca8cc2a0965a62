"""Page of one run: headline, controls, worst moments with pictures, and the sentence to quote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.metrics.contract import MetricSpec
from benchmark.protocols.perturbations import is_perturbed
from benchmark.protocols.protocol import load_protocol
from benchmark.report.control_rows import ControlRow, ReportError, control_rows, control_statements
from benchmark.report.number_format import NOTHING, between, counted, measured, percent, unit_text
from benchmark.report.pictures import Frames, RealFrames, data_uri, difference, generated_frames, real_frames
from benchmark.report.quotable import cautions, dataset_name, run_sentence
from benchmark.report.worst_moments import Floats, Moment, worst_moments
from benchmark.results import CaseResult, MetricSummary, ResultError, Run
from benchmark.run_check import CheckedRun, check_run
from benchmark.run_check.files import read_frame_table
from benchmark.run_dir import RunDir
from benchmark.runner.summarize import metrics_under
from talkingpose.io.atomic import write_text
from talkingpose.io.errors import UserError
from talkingpose.io.html_page import render
from talkingpose.io.progress import SILENT, Progress

PAGE = "report.html"
_PRIMARY_MOMENTS, _OTHER_MOMENTS = 3, 1
_MAX_PICTURED = 48
_FALLBACK_PRIMARY = 4
_REMARKS_SHOWN = 20
_LEFT_OUT = ("too-short", "failed", "pending")


@dataclass(frozen=True)
class RunReport:
    """Content of the page of a run.

    Attributes:
        page: path of the page.
        sentence: sentence to quote.
        cautions: reasons not to quote it as it is.
        primary: ids of the primary metrics.
        controls: controls beside the run.
        statements: statements of the controls.
        moments: metric -> its worst moments.
        remarks: pictures that are missing, and parts that could not be checked.
    """

    page: Path
    sentence: str
    cautions: Sequence[str]
    primary: Sequence[str]
    controls: Sequence[ControlRow]
    statements: Sequence[str]
    moments: Mapping[str, Sequence[Moment]]
    remarks: Sequence[str] = field(default_factory=tuple)

    def document(self) -> dict[str, Any]:
        """Return the content as a JSON document."""
        return {
            "page": str(self.page),
            "sentence": self.sentence,
            "cautions": list(self.cautions),
            "primary": list(self.primary),
            "controls": [row.name for row in self.controls],
            "statements": list(self.statements),
            "worst_moments": {
                name: [{"clip_id": m.clip_id, "frame": m.frame, "value": m.value} for m in moments]
                for name, moments in self.moments.items()
            },
            "remarks": list(self.remarks),
        }


def write_run_report(
    folder: Path,
    out: Path | None = None,
    *,
    controls: Sequence[Path] = (),
    dataset: str | None = None,
    progress: Progress = SILENT,
) -> RunReport:
    """Write the page of a run as one HTML file, without network access and without JavaScript.

    Args:
        folder: folder of the run.
        out: path of the page; `report.html` in the folder of the run by default.
        controls: folders of control runs; by default those beside the run.
        dataset: location of the dataset, for the real frames; see `real_frames`.
        progress: receiver of progress.

    Raises:
        ReportError: the run has no score, or contradicts itself.
        ResultError: there is no run, or it is damaged.
    """
    checked = check_run(folder, list(controls))
    run = checked.run
    if checked.contradictions:
        raise ReportError(contradiction_text(checked))
    cases = {clip: case for clip, case in checked.cases.items() if not is_perturbed(clip)}
    if not cases or not run.metrics:
        raise ReportError(f"{folder}: no clip of the run is scored: run the same tp-eval command again")
    page = out or folder / PAGE
    check_page(page)
    primary = primary_metrics(run)
    rows = control_rows(folder, run, controls)
    tables = frame_tables(folder, cases)
    moments = {
        name: found
        for name, summary in run.metrics.items()
        if (found := worst_moments(name, summary.direction, cases, tables, _count(name, primary)))
    }
    wanted = wanted_frames(moments, [*primary, *run.metrics])
    progress.start("pictures", 2, "video source")
    real = real_frames(run, wanted, dataset)
    progress.advance()
    generated, missing = generated_frames(folder, cases, wanted)
    progress.advance()
    remarks = [*([f"No real frames: {real.reason}"] if real.reason else []), *missing]
    report = RunReport(
        page=page,
        sentence=run_sentence(run, primary),
        cautions=cautions(run, checked.verified),
        primary=primary,
        controls=rows,
        statements=control_statements(rows, run, primary),
        moments=moments,
        remarks=remarks,
    )
    write_page(page, _html(report, checked, cases, real, generated))
    return report


def contradiction_text(checked: CheckedRun) -> str:
    """Return one line about the contradictions of a run."""
    first, *others = checked.contradictions
    rest = f" (and {len(others)} more)" if others else ""
    return f"{checked.folder}: contradicts itself: {first}{rest}: run tp-eval validate {checked.folder}"


def check_page(page: Path) -> None:
    """Check that a page can be written, before work begins.

    Raises:
        ReportError: its folder is missing, or it is a folder.
    """
    if page.is_dir():
        raise ReportError(f"--out {page}: a folder: give the name of a page, such as report.html")
    if not page.parent.is_dir():
        raise ReportError(f"--out {page}: no folder {page.parent}: create it")


def write_page(page: Path, html: str) -> None:
    """Write a page.

    Raises:
        ReportError: the folder is not writable.
    """
    try:
        write_text(page, html)
    except OSError as error:
        raise ReportError(f"--out {page}: not writable ({error.strerror}): choose another") from error


def named_primary(run: Run) -> list[str]:
    """Return the primary metrics that the protocol of a run names; none if it is not installed."""
    try:
        named = load_protocol(f"{run.protocol.id}@{run.protocol.version}").primary
    except UserError:
        return []
    found = []
    for name in named:
        # A protocol may name a family, such as `akd_target`, for all of its metrics.
        family = [metric for metric in run.metrics if metric.startswith((f"{name}.", f"{name}@"))]
        found += [name] if name in run.metrics else family
    return found


def primary_metrics(run: Run) -> list[str]:
    """Return the primary metrics of a run; its first metrics if its protocol names none."""
    return named_primary(run) or list(run.metrics)[:_FALLBACK_PRIMARY]


def metric_specs(run: Run) -> dict[str, MetricSpec]:
    """Return descriptions of the metrics that are installed, by id."""
    try:
        metrics = metrics_under(load_protocol(f"{run.protocol.id}@{run.protocol.version}"))
    except UserError:
        return {}
    return {metric.spec.id: metric.spec for metric in metrics}


def frame_tables(folder: Path, cases: Mapping[str, CaseResult]) -> dict[str, Mapping[str, Floats]]:
    """Read the frame scores of all clips.

    Raises:
        ReportError: a table is damaged.
    """
    place = RunDir(folder)
    tables = {}
    for clip_id, case in cases.items():
        try:
            tables[clip_id] = read_frame_table(place, case)
        except ResultError as error:
            raise ReportError(f"{place.frames(clip_id)}: {error}: run tp-eval validate {folder}") from error
    return tables


def wanted_frames(moments: Mapping[str, Sequence[Moment]], order: Sequence[str]) -> dict[str, set[int]]:
    """Return the frames to decode, clip id -> frame numbers: those of the first metrics, up to a limit."""
    wanted: dict[str, set[int]] = {}
    for name in dict.fromkeys(order):
        for moment in moments.get(name, ()):
            if sum(map(len, wanted.values())) < _MAX_PICTURED:
                wanted.setdefault(moment.clip_id, set()).add(moment.frame)
    return wanted


def _count(name: str, primary: Sequence[str]) -> int:
    return _PRIMARY_MOMENTS if name in primary else _OTHER_MOMENTS


def _html(
    report: RunReport,
    checked: CheckedRun,
    cases: Mapping[str, CaseResult],
    real: RealFrames,
    generated: Frames,
) -> str:
    run, specs = checked.run, metric_specs(checked.run)
    shown = _Shown(real, generated)
    others = [name for name in run.metrics if name not in report.primary]
    ordered = [name for name in (*report.primary, *others) if name in report.moments]
    groups = [_moments(name, run, specs, shown, report.moments) for name in ordered]
    rest = groups[sum(name in report.primary for name in ordered) :]
    values: dict[str, Any] = {
        "title": run.contestant.name,
        "badges": _badges(checked),
        "facts": _facts(run, cases),
        "sentence": report.sentence,
        "cautions": report.cautions,
        "controls": report.controls,
        "statements": report.statements,
        "primary": [_metric_row(name, run.metrics[name], specs, report.controls) for name in report.primary],
        "others": [_metric_row(name, run.metrics[name], specs, report.controls) for name in others],
        "clips": _clips(run, cases, report.primary),
        "primary_moments": groups[: len(groups) - len(rest)],
        "other_moments": rest,
        "left_out": [(e.clip_id or "", e.message) for e in run.audit if e.kind in _LEFT_OUT],
        "remarks": list(_remarks(checked, report.remarks)),
        "command": run.command,
    }
    values["shared_reasons"] = _shared_reasons(values["primary"]) + _shared_reasons(values["others"])
    values["is_control"] = run.contestant.control
    return render("benchmark.report", "run.html.j2", values, css="report.css")


def _shared_reasons(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Remove the remark that most rows share from them, and return it."""
    reasons = Counter(row["reason"] for row in rows if row["reason"])
    shared = [reason for reason, number in reasons.items() if number > max(1, len(rows) // 2)]
    for row in rows:
        row["reason"] = "" if row["reason"] in shared else row["reason"]
    return shared


class _Shown:
    """Pictures of moments; a second appearance links to the first."""

    def __init__(self, real: RealFrames, generated: Frames) -> None:
        self._real, self._generated = real, generated
        self._anchors: dict[tuple[str, int], str] = {}

    def pictures(self, moment: Moment) -> dict[str, Any]:
        """Return anchor, labelled pictures and the link to an earlier appearance."""
        key = (moment.clip_id, moment.frame)
        if key in self._anchors:
            return {"anchor": "", "link": f"#{self._anchors[key]}", "pictures": []}
        self._anchors[key] = f"moment-{len(self._anchors) + 1}"
        return {
            "anchor": self._anchors[key],
            "link": "",
            "pictures": list(self._labelled(key)),
        }

    def _labelled(self, key: tuple[str, int]) -> Iterator[tuple[str, str]]:
        real, generated = self._real.frames.get(key), self._generated.get(key)
        if real is not None:
            yield self._real.label, data_uri(real)
        if generated is not None:
            yield "generated", data_uri(generated)
        if real is not None and generated is not None and self._real.label == "real":
            gap = difference(real, generated)
            if gap is not None:
                yield "difference, four times", data_uri(gap)


def _moments(
    name: str,
    run: Run,
    specs: Mapping[str, MetricSpec],
    shown: _Shown,
    moments: Mapping[str, Sequence[Moment]],
) -> dict[str, Any]:
    unit = run.metrics[name].unit
    return {
        "metric": name,
        "title": _title(name, specs),
        "moments": [
            {
                "clip": moment.clip_id,
                "frame": moment.frame,
                "seconds": f"{moment.seconds:.2f}",
                "value": f"{measured(moment.value)} {unit}".strip(),
                **shown.pictures(moment),
            }
            for moment in moments[name]
        ],
    }


def _metric_row(
    name: str, summary: MetricSummary, specs: Mapping[str, MetricSpec], controls: Sequence[ControlRow]
) -> dict[str, Any]:
    spec = specs.get(name)
    return {
        "metric": name,
        "title": _title(name, specs),
        "value": measured(summary.value, summary.ci95),
        "interval": between(summary.ci95),
        "unit": unit_text(summary.unit),
        "better": {"higher": "higher", "lower": "lower", "none": NOTHING}[summary.direction],
        "coverage": percent(summary.coverage),
        "clips": f"{summary.n_cases}, {counted(summary.n_clusters, 'person')}",
        "reason": _reason(summary),
        "blind": spec.blind_spots if spec is not None else "",
        "controls": [measured(row.values.get(name), summary.ci95) for row in controls],
    }


def _reason(summary: MetricSummary) -> str:
    if not summary.reason:
        return ""
    return summary.reason if summary.state == "ok" else f"{summary.state}: {summary.reason}"


def _title(name: str, specs: Mapping[str, MetricSpec]) -> str:
    return specs[name].title if name in specs else ""


def _badges(checked: CheckedRun) -> list[str]:
    run = checked.run
    badges = [run.status, "verified" if checked.verified else "not verified"]
    badges += ["control"] * run.contestant.control
    badges += ["limited"] * (not run.comparable)
    badges += ["finished videos"] * (run.contestant.origin == "predictions")
    return badges


def _facts(run: Run, cases: Mapping[str, CaseResult]) -> list[tuple[str, str]]:
    who = run.contestant
    persons = len({case.cluster for case in cases.values()})
    facts = [
        ("Protocol", f"{run.protocol.id}@{run.protocol.version}"),
        ("SHA-256 of the protocol", run.protocol.sha256),
        ("Dataset", f"{dataset_name(run)}, split {run.dataset.split}"),
        ("Clips", f"{len(cases)} of {counted(persons, 'person')}"),
        ("Revision", who.revision),
        ("Licence", who.licence),
        ("Driving frames seen", who.frames_seen),
        ("Seed", str(run.seed)),
    ]
    if who.args:
        facts.append(("Settings", ", ".join(f"{key} = {value}" for key, value in sorted(who.args.items()))))
    if run.cost is not None and run.cost.seconds_per_frame is not None:
        facts.append(("Cost", f"{run.cost.seconds_per_frame:.3g} s per frame on {run.cost.device}"))
    return [*facts, ("Finished", run.finished_at)] if run.finished_at else facts


def _clips(
    run: Run, cases: Mapping[str, CaseResult], primary: Sequence[str]
) -> list[tuple[str, str, list[str]]]:
    """Return clip, length and primary scores of every clip, the worst by the first primary metric first."""
    first = primary[0]
    sign = -1 if run.metrics[first].direction == "lower" else 1

    def value(case: CaseResult, name: str) -> float | None:
        score = case.metrics.get(name)
        return None if score is None else score.value

    ordered = sorted(
        cases.values(), key=lambda case: (value(case, first) is None, sign * (value(case, first) or 0.0))
    )
    return [
        (case.clip_id, f"{case.num_frames} frames", [measured(value(case, name)) for name in primary])
        for case in ordered
    ]


def _remarks(checked: CheckedRun, missing: Sequence[str]) -> Iterator[str]:
    lines = [*missing, *(f"Not checked: {problem}" for problem in checked.unchecked)]
    lines += [
        f"{entry.clip_id}: {entry.message}" if entry.clip_id else entry.message
        for entry in checked.run.audit
        if entry.kind not in _LEFT_OUT
    ]
    yield from lines[:_REMARKS_SHOWN]
    if len(lines) > _REMARKS_SHOWN:
        yield f"and {len(lines) - _REMARKS_SHOWN} more"
