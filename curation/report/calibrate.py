"""Calibration of filter thresholds against labels.

The unit is a labelled part of a judged span, weighted by its seconds. Filters are evaluated together: the
better of two thresholds is the one that gives the whole cascade the better F1. Filters that did not run,
because an earlier step had rejected the span, count as passed: a looser threshold is judged optimistically.
A threshold is proposed only if it is also better when each source is judged with the threshold that the other
sources choose (10 folds).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.records import FilterResult, ShotVerdict, SourceRecord
from curation.report.labels import Label, Labels, labelled_parts, labels_by_source
from talkingpose.io.text_table import text_table

# With fewer wanted or unwanted sources, a better threshold would only fit these files.
MIN_SOURCES = 5
# A threshold that changes the verdict on fewer sources fits these.
MIN_DECIDING = 3
_FOLDS = 10
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
        left_out: quality on sources whose threshold the other sources chose; None without a better threshold.
        deciding_sources: number of sources with a part that the better threshold decides otherwise.
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
    left_out: DecisionQuality | None
    deciding_sources: int
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
    """Labelled part of a judged span."""

    source_id: str
    span: ShotVerdict
    wanted: bool
    seconds: float

    @property
    def is_kept(self) -> bool:
        return self.span.verdict == "keep"

    def result(self, name: str) -> FilterResult | None:
        return next((one for one in self.span.findings if one.filter == name), None)


def calibrate(records: Sequence[SourceRecord], labels: Labels) -> Calibration:
    """Compare the decisions of a run with labels, and propose thresholds that hold on left-out sources."""
    names = {record.source_id: record.name for record in records}
    assigned, unknown = labels_by_source(labels.labels, names)
    cases, undecided = _cases(records, assigned)
    kept: dict[str, bool] = {}
    wanted: dict[str, bool] = {}
    for case in cases:
        wanted[case.source_id] = wanted.get(case.source_id, False) or case.wanted
        kept[case.source_id] = kept.get(case.source_id, False) or case.is_kept
    filters = dict.fromkeys(result.filter for case in cases for result in case.span.findings)
    folds = None
    if min(sum(wanted.values()), len(wanted) - sum(wanted.values())) >= MIN_SOURCES:
        folds = _folds(wanted)
    return Calibration(
        by_source=_quality([(kept[one], wanted[one], 1.0) for one in wanted]),
        by_seconds=_quality([(case.is_kept, case.wanted, case.seconds) for case in cases]),
        wanted_sources=sum(wanted.values()),
        unwanted_sources=len(wanted) - sum(wanted.values()),
        false_keeps=tuple(sorted(names[one] for one in wanted if kept[one] and not wanted[one])),
        false_rejects=tuple(sorted(names[one] for one in wanted if wanted[one] and not kept[one])),
        filters=tuple(_calibrated(name, cases, folds) for name in filters),
        not_judged=tuple(sorted({one.file or one.source_id for one in unknown})),
        undecided=tuple(sorted(undecided)),
        unclear=labels.unclear,
    )


def _cases(
    records: Sequence[SourceRecord], labels: Mapping[str, Sequence[Label]]
) -> tuple[list[_Case], set[str]]:
    """Return labelled parts of spans with a verdict, and names of sources without one."""
    cases, undecided = [], set()
    for record in records:
        own = labels.get(record.source_id, ())
        if record.error is not None and own:
            undecided.add(record.name)
        for span in record.shots:
            parts = labelled_parts(own, span.start_s, span.end_s)
            if parts and span.verdict == "error":
                undecided.add(record.name)
                continue
            cases += [_Case(record.source_id, span, wanted, end - start) for start, end, wanted in parts]
    return cases, undecided


def _folds(wanted: Mapping[str, bool]) -> dict[str, int]:
    """Deal sources to folds by hash, wanted and unwanted ones evenly."""
    ordered = sorted(wanted, key=lambda one: (wanted[one], hashlib.sha256(one.encode()).digest()))
    return {source: place % _FOLDS for place, source in enumerate(ordered)}


class _Cascade:
    """Decisions of all filters as a function of the threshold of one of them."""

    def __init__(self, name: str, cases: Sequence[_Case]) -> None:
        own = [case.result(name) for case in cases]
        first = next(one for one in own if one is not None)
        self.threshold, self.at_least, self.unit = first.threshold, first.at_least, first.unit
        self.values = np.array([_measured(one) for one in own], np.float64)
        # Without a value the result does not depend on the threshold; a filter that did not run passes.
        self._fixed = np.array([one is None or one.passed is not False for one in own], bool)
        self._others = np.array(
            [
                all(one.passed is not False for one in case.span.findings if one.filter != name)
                for case in cases
            ],
            bool,
        )
        self.wanted = np.array([case.wanted for case in cases], bool)
        self.seconds = np.array([case.seconds for case in cases], np.float64)

    def kept(self, thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Decisions, bool (number of thresholds, number of cases)."""
        limits = thresholds[:, None]
        passed = self.values >= limits if self.at_least else self.values <= limits
        decided = np.where(np.isnan(self.values), self._fixed, passed)
        return np.asarray(self._others & decided, np.bool_)

    def quality(
        self, thresholds: Sequence[float], of: npt.NDArray[np.bool_] | None = None
    ) -> list[DecisionQuality]:
        """Quality with each threshold, of some or all cases."""
        weight = self.seconds if of is None else self.seconds * of
        kept = self.kept(np.asarray(thresholds, np.float64))
        sums = (kept @ (weight * self.wanted), kept @ weight)
        return [
            _from_sums(float(both), float(all_kept), float(weight @ self.wanted), float(weight.sum()))
            for both, all_kept in zip(*sums, strict=True)
        ]

    def best(self, of: npt.NDArray[np.bool_] | None = None) -> tuple[float, DecisionQuality] | None:
        """Find the threshold with the best F1, in the middle of the widest gap that gives it."""
        chosen = self.values if of is None else self.values[of]
        values = np.unique(chosen[np.isfinite(chosen)])
        if len(values) < 2:
            return None
        # Of many values, evenly spaced ones: few spans lie between them.
        values = values[:: max(len(values) // _MAX_CANDIDATES, 1)]
        middles = [(low + high) / 2 for low, high in pairwise(values.tolist())]
        found = self.quality(middles, of)
        place = max(range(len(middles)), key=lambda i: (found[i].f1, values[i + 1] - values[i]))
        return _round_between(middles[place], values.tolist()), found[place]

    def chosen(self, of: npt.NDArray[np.bool_] | None = None) -> float:
        """Return the threshold that some of the cases would propose, or that of the run."""
        best = self.best(of)
        (now,) = self.quality([self.threshold], of)
        return self.threshold if best is None or best[1].f1 < now.f1 + _MIN_GAIN else best[0]

    def left_out(self, fold: npt.NDArray[np.int64]) -> DecisionQuality:
        """Quality on sources whose threshold the other sources chose, over all folds."""
        kept = np.zeros(len(fold), bool)
        for number in np.unique(fold):
            limit = self.chosen(fold != number)
            kept |= (fold == number) & self.kept(np.array([limit]))[0]
        return _quality(list(zip(kept.tolist(), self.wanted.tolist(), self.seconds.tolist(), strict=True)))


def _measured(result: FilterResult | None) -> float:
    known = result is not None and result.passed is not None and result.measured is not None
    return float(result.measured) if known and result and result.measured is not None else math.nan


def _calibrated(name: str, cases: Sequence[_Case], folds: Mapping[str, int] | None) -> FilterCalibration:
    cascade = _Cascade(name, cases)
    results = [(case, result) for case in cases if (result := case.result(name)) is not None]
    (together,) = cascade.quality([cascade.threshold])
    proposed, would_be, left_out, deciding = None, None, None, 0
    best = cascade.best()
    if folds is None:
        note = f"fewer than {MIN_SOURCES} wanted or unwanted sources: nothing is proposed"
    elif best is None or best[1].f1 < together.f1 + _MIN_GAIN:
        note = "no threshold is better on these labels"
    else:
        before, after = cascade.kept(np.array([cascade.threshold, best[0]]))
        changed = before != after
        deciding = len({case.source_id for case, one in zip(cases, changed, strict=True) if one})
        left_out = cascade.left_out(np.array([folds[case.source_id] for case in cases]))
        gain = (
            f"F1 {together.f1:.3f} -> {best[1].f1:.3f} on these labels, {left_out.f1:.3f} on sources left out"
        )
        if deciding < MIN_DECIDING:
            note = f"{gain}; rests on {deciding} sources, fewer than {MIN_DECIDING}: nothing is proposed"
        elif left_out.f1 < together.f1 + _MIN_GAIN:
            note = f"{gain}: nothing is proposed"
        else:
            (proposed, would_be), note = best, f"{gain}; it decides {deciding} sources"
    passed = [
        (one.passed is True, case.wanted, case.seconds) for case, one in results if one.passed is not None
    ]
    spans = {id(case.span): one.measured is not None for case, one in results}
    every = {id(case.span) for case in cases}
    return FilterCalibration(
        filter=name,
        threshold=cascade.threshold,
        at_least=cascade.at_least,
        unit=cascade.unit,
        measured=sum(spans.values()),
        not_measured=len(every) - sum(spans.values()),
        alone=_quality(passed),
        together=together,
        proposed=proposed,
        would_be=would_be,
        left_out=left_out,
        deciding_sources=deciding,
        note=note,
    )


def _round_between(threshold: float, values: Sequence[float]) -> float:
    """Round the threshold to as few digits as keep it between the same two values."""
    below = max(value for value in values if value < threshold)
    above = min(value for value in values if value > threshold)
    for digits in range(1, 12):
        rounded = float(f"{threshold:.{digits}g}")
        if below < rounded < above:
            return rounded
    return threshold


def _quality(decided: Sequence[tuple[bool, bool, float]]) -> DecisionQuality:
    """Compute the quality of (kept, wanted, weight)."""
    kept = sum(weight for is_kept, _, weight in decided if is_kept)
    wanted = sum(weight for _, is_wanted, weight in decided if is_wanted)
    both = sum(weight for is_kept, is_wanted, weight in decided if is_kept and is_wanted)
    return _from_sums(both, kept, wanted, sum(weight for *_, weight in decided))


def _from_sums(both: float, kept: float, wanted: float, everything: float) -> DecisionQuality:
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
        if one.left_out is not None:
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
