"""Calibration of filter thresholds against labels.

The unit is a judged span, weighted by its seconds. Filters are evaluated together: the better of two
thresholds is the one that gives the whole cascade the better F1. Filters that did not run, because an earlier
step had rejected the span, count as passed: a looser threshold is judged optimistically.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from curation.records import FilterResult, ShotVerdict, SourceRecord
from curation.report.labels import Labels, label_of
from talkingpose.io.text_table import text_table

# With fewer wanted or unwanted sources, a better threshold would only fit these files.
MIN_SOURCES = 5
# Smallest gain in F1 of a proposal; less is noise.
_MIN_GAIN = 0.01
_MAX_CANDIDATES = 200


@dataclass(frozen=True)
class DecisionQuality:
    """Quality of decisions, weighted by seconds; None where the denominator is 0.

    Attributes:
        precision: wanted share of what is kept.
        recall: kept share of what is wanted.
        yield_: kept share of everything.
    """

    precision: float | None
    recall: float | None
    yield_: float | None

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where one of them is missing or 0."""
        if not self.precision or not self.recall:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


@dataclass(frozen=True)
class FilterCalibration:
    """Calibration of one filter.

    Attributes:
        filter: its name.
        threshold, at_least, unit: of the run.
        measured, not_measured: numbers of labelled spans.
        alone: quality of this filter alone.
        together: quality of all filters, with this one at its threshold.
        proposed: better threshold for all filters together, None where there is none.
        would_be: quality with the proposed threshold.
        note: reason for no proposal, or its reliability.
    """

    filter: str
    threshold: float
    at_least: bool
    unit: str
    measured: int
    not_measured: int
    alone: DecisionQuality
    together: DecisionQuality
    proposed: float | None
    would_be: DecisionQuality | None
    note: str


@dataclass(frozen=True)
class Calibration:
    """Calibration of all filters, and the quality of the run.

    Attributes:
        by_source: quality by sources; a source counts as kept where any part of it is kept.
        by_seconds: quality by seconds.
        wanted_sources, unwanted_sources: numbers of labelled sources.
        false_keeps, false_rejects: names of sources.
        filters: each filter.
        not_judged: labelled files that the run does not have.
        undecided: labelled files with an error.
        unclear: rows whose label is neither yes nor no.
    """

    by_source: DecisionQuality
    by_seconds: DecisionQuality
    wanted_sources: int
    unwanted_sources: int
    false_keeps: tuple[str, ...]
    false_rejects: tuple[str, ...]
    filters: tuple[FilterCalibration, ...]
    not_judged: tuple[str, ...]
    undecided: tuple[str, ...]
    unclear: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Case:
    source: str
    span: ShotVerdict
    wanted: bool

    @property
    def seconds(self) -> float:
        return self.span.end_s - self.span.start_s

    def result(self, name: str) -> FilterResult | None:
        return next((one for one in self.span.findings if one.filter == name), None)


def calibrate(records: Sequence[SourceRecord], labels: Labels) -> Calibration:
    """Compare the decisions of a run with labels."""
    cases, undecided = _cases(records, labels)
    kept: dict[str, bool] = {}
    wanted: dict[str, bool] = {}
    for case in cases:
        wanted[case.source] = wanted.get(case.source, False) or case.wanted
        kept[case.source] = kept.get(case.source, False) or case.span.verdict == "keep"
    names = list(dict.fromkeys(result.filter for case in cases for result in case.span.findings))
    thin = min(sum(wanted.values()), len(wanted) - sum(wanted.values())) < MIN_SOURCES
    return Calibration(
        by_source=_quality([(kept[name], wanted[name], 1.0) for name in wanted]),
        by_seconds=_quality([(case.span.verdict == "keep", case.wanted, case.seconds) for case in cases]),
        wanted_sources=sum(wanted.values()),
        unwanted_sources=len(wanted) - sum(wanted.values()),
        false_keeps=tuple(sorted(name for name in wanted if kept[name] and not wanted[name])),
        false_rejects=tuple(sorted(name for name in wanted if wanted[name] and not kept[name])),
        filters=tuple(_calibrated(name, cases, thin=thin) for name in names),
        not_judged=tuple(
            sorted(
                {one.file for one in labels.labels if not any(one.is_of(record.name) for record in records)}
            )
        ),
        undecided=tuple(sorted(undecided)),
        unclear=labels.unclear,
    )


def _cases(records: Sequence[SourceRecord], labels: Labels) -> tuple[list[_Case], set[str]]:
    """Return labelled spans with a verdict, and names of sources without one."""
    cases, undecided = [], set()
    for record in records:
        if record.error is not None and any(one.is_of(record.name) for one in labels.labels):
            undecided.add(record.name)
        for span in record.shots:
            label = label_of(labels.labels, record.name, span.start_s, span.end_s)
            if label is None:
                continue
            if span.verdict == "error":
                undecided.add(record.name)
            else:
                cases.append(_Case(record.name, span, label.wanted))
    return cases, undecided


def _calibrated(name: str, cases: Sequence[_Case], *, thin: bool) -> FilterCalibration:
    results = [(case, result) for case in cases if (result := case.result(name)) is not None]
    first = results[0][1]
    measured = [(case, result) for case, result in results if result.measured is not None]
    together = _together(name, cases, first.threshold, first.at_least)
    proposed, would_be, note = None, None, ""
    if thin:
        note = f"fewer than {MIN_SOURCES} wanted or unwanted sources: nothing is proposed"
    else:
        best = _best(name, cases, measured, first)
        if best is None or best[1].f1 < together.f1 + _MIN_GAIN:
            note = "no threshold is better on these labels"
        else:
            proposed, would_be = best
            note = f"F1 {together.f1:.3f} -> {would_be.f1:.3f} on these labels; verify it on others"
    passed = [
        (one.passed is True, case.wanted, case.seconds) for case, one in results if one.passed is not None
    ]
    return FilterCalibration(
        filter=name,
        threshold=first.threshold,
        at_least=first.at_least,
        unit=first.unit,
        measured=len(measured),
        not_measured=len(cases) - len(measured),
        alone=_quality(passed),
        together=together,
        proposed=proposed,
        would_be=would_be,
        note=note,
    )


def _best(
    name: str, cases: Sequence[_Case], measured: Sequence[tuple[_Case, FilterResult]], first: FilterResult
) -> tuple[float, DecisionQuality] | None:
    """Find the threshold with the best F1 of all filters, in the middle of the widest gap that gives it."""
    values = sorted({one.measured for _, one in measured if one.measured is not None})
    if len(values) < 2:
        return None
    # Of many values, evenly spaced ones: few spans lie between them.
    values = values[:: max(len(values) // _MAX_CANDIDATES, 1)]
    scored = [
        (_together(name, cases, (low + high) / 2, first.at_least), high - low, (low + high) / 2)
        for low, high in pairwise(values)
    ]
    quality, _, threshold = max(scored, key=lambda one: (one[0].f1, one[1]))
    return _round_between(threshold, values), quality


def _round_between(threshold: float, values: Sequence[float]) -> float:
    """Round the threshold to as few digits as keep it between the same two values."""
    below = max(value for value in values if value < threshold)
    above = min(value for value in values if value > threshold)
    for digits in range(1, 12):
        rounded = float(f"{threshold:.{digits}g}")
        if below < rounded < above:
            return rounded
    return threshold


def _together(name: str, cases: Sequence[_Case], threshold: float, at_least: bool) -> DecisionQuality:
    """Return the quality of all filters, with one of them at another threshold."""
    decided = []
    for case in cases:
        others = all(one.passed is not False for one in case.span.findings if one.filter != name)
        own = case.result(name)
        decided.append((others and _passes(own, threshold, at_least), case.wanted, case.seconds))
    return _quality(decided)


def _passes(result: FilterResult | None, threshold: float, at_least: bool) -> bool:
    if result is None or result.passed is None:
        return True
    if result.measured is None:  # without a value the result does not depend on the threshold
        return result.passed
    return result.measured >= threshold if at_least else result.measured <= threshold


def _quality(decided: Sequence[tuple[bool, bool, float]]) -> DecisionQuality:
    """Compute the quality of (kept, wanted, weight)."""
    kept = sum(weight for is_kept, _, weight in decided if is_kept)
    wanted = sum(weight for _, is_wanted, weight in decided if is_wanted)
    both = sum(weight for is_kept, is_wanted, weight in decided if is_kept and is_wanted)
    everything = sum(weight for *_, weight in decided)
    return DecisionQuality(
        both / kept if kept else None,
        both / wanted if wanted else None,
        kept / everything if everything else None,
    )


def lines(found: Calibration) -> Iterator[str]:
    """Yield lines of text."""
    yield f"{found.wanted_sources} wanted and {found.unwanted_sources} unwanted sources"
    yield from text_table([("kept", "precision", "recall", "yield"), *_whole(found)])
    for title, names in (
        ("kept, not wanted", found.false_keeps),
        ("wanted, not kept", found.false_rejects),
        ("undecided because of an error", found.undecided),
        ("labelled, not in the run", found.not_judged),
        ("label neither yes nor no", found.unclear),
    ):
        if names:
            yield f"{title}: {', '.join(names)}"
    yield ""
    head = ("filter", "spans", "threshold", "alone: p / r / yield", "together: p / r / yield", "proposed")
    yield from text_table([head, *(_cells(one) for one in found.filters)])
    for one in found.filters:
        if one.proposed is not None:
            yield f"{one.filter}: {one.note}"
    if found.filters and found.filters[0].note.startswith("fewer"):
        yield found.filters[0].note


def _whole(found: Calibration) -> Iterator[tuple[str, ...]]:
    for name, one in (("by source", found.by_source), ("by seconds", found.by_seconds)):
        yield name, *(_number(value) for value in (one.precision, one.recall, one.yield_))


def _cells(one: FilterCalibration) -> tuple[str, ...]:
    sign = ">=" if one.at_least else "<="
    better = "-"
    if one.proposed is not None and one.would_be is not None:
        better = f"{sign} {one.proposed:g}  ({_three(one.would_be)})"
    return (
        one.filter,
        str(one.measured),
        f"{sign} {one.threshold:g} {one.unit}",
        _three(one.alone),
        _three(one.together),
        better,
    )


def _three(one: DecisionQuality) -> str:
    return " / ".join(_number(value) for value in (one.precision, one.recall, one.yield_))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
