"""How well each threshold parts wanted from unwanted footage, and where it would do so better.

The unit is a span that was judged, weighted by its seconds. A filter is asked in the company of the others:
of two thresholds the better one is that with which the whole cascade gives the better F1. Filters that were
not asked, because an earlier step had ended the span, count as if they would pass: what a looser threshold
lets through might still fall to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from curation.records import FilterResult, ShotVerdict, SourceRecord
from curation.report.labels import Labels, label_of
from talkingpose.io.text_table import text_table

# With fewer sources on a side, a better threshold is one for these files only.
MIN_SOURCES = 5
# A proposal has to be better by this much in F1, or it is noise.
_MIN_GAIN = 0.01
_MOST_CANDIDATES = 200


@dataclass(frozen=True)
class Quality:
    """How a way to decide parts wanted from unwanted, by seconds; None where nothing can be divided by.

    precision: share of what is kept that is wanted. recall: share of what is wanted that is kept. yield_:
    share of everything that is kept.
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
class Calibrated:
    """One filter.

    Attributes:
        threshold, at_least, unit: as it was judged.
        measured, not_measured: labelled spans.
        alone: of this filter, nothing else asked.
        together: of all filters with this one at its threshold.
        proposed: a threshold that does better together, None where there is none.
        would_be: what it gives together.
        note: why nothing is proposed, or how far to trust it.
    """

    filter: str
    threshold: float
    at_least: bool
    unit: str
    measured: int
    not_measured: int
    alone: Quality
    together: Quality
    proposed: float | None
    would_be: Quality | None
    note: str


@dataclass(frozen=True)
class Calibration:
    """All filters, and the cascade as it was.

    `by_source` counts a source as kept where any part of it is; unlike `by_seconds` it does not mind that the
    bad part of a good source is cut away. `not_judged`: labelled files that the run does not have;
    `undecided`: labelled files with an error; `unclear`: rows without a yes or no.
    """

    by_source: Quality
    by_seconds: Quality
    wanted_sources: int
    unwanted_sources: int
    false_keeps: tuple[str, ...]
    false_rejects: tuple[str, ...]
    filters: tuple[Calibrated, ...]
    not_judged: tuple[str, ...]
    undecided: tuple[str, ...]
    unclear: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Case:
    source: str
    span: ShotVerdict
    wanted: bool

    @property
    def seconds(self) -> float:
        return self.span.end_s - self.span.start_s

    def finding(self, name: str) -> FilterResult | None:
        return next((one for one in self.span.findings if one.filter == name), None)


def calibrate(records: Sequence[SourceRecord], labels: Labels) -> Calibration:
    """Compare what a run decided with what people say."""
    cases, undecided = _cases(records, labels)
    kept: dict[str, bool] = {}
    wanted: dict[str, bool] = {}
    for case in cases:
        wanted[case.source] = wanted.get(case.source, False) or case.wanted
        kept[case.source] = kept.get(case.source, False) or case.span.verdict == "keep"
    names = list(dict.fromkeys(finding.filter for case in cases for finding in case.span.findings))
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
    """Labelled spans with a verdict, and names of sources where one is missing."""
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


def _calibrated(name: str, cases: Sequence[_Case], *, thin: bool) -> Calibrated:
    asked = [(case, finding) for case in cases if (finding := case.finding(name)) is not None]
    first = asked[0][1]
    found = [(case, finding) for case, finding in asked if finding.measured is not None]
    together = _together(name, cases, first.threshold, first.at_least)
    proposed, would_be, note = None, None, ""
    if thin:
        note = f"fewer than {MIN_SOURCES} wanted or unwanted sources: nothing is proposed"
    else:
        best = _best(name, cases, found, first)
        if best is None or best[1].f1 < together.f1 + _MIN_GAIN:
            note = "no threshold does better on these labels"
        else:
            proposed, would_be = best
            note = f"F1 {together.f1:.3f} -> {would_be.f1:.3f} on these labels; try it on others"
    passed = [
        (one.passed is True, case.wanted, case.seconds) for case, one in asked if one.passed is not None
    ]
    return Calibrated(
        filter=name,
        threshold=first.threshold,
        at_least=first.at_least,
        unit=first.unit,
        measured=len(found),
        not_measured=len(cases) - len(found),
        alone=_quality(passed),
        together=together,
        proposed=proposed,
        would_be=would_be,
        note=note,
    )


def _best(
    name: str, cases: Sequence[_Case], found: Sequence[tuple[_Case, FilterResult]], first: FilterResult
) -> tuple[float, Quality] | None:
    """The threshold with the best F1 together, in the middle of the widest gap that gives it."""
    values = sorted({one.measured for _, one in found if one.measured is not None})
    if len(values) < 2:
        return None
    # Evenly spaced ones of many: what lies between them decides about few spans.
    values = values[:: max(len(values) // _MOST_CANDIDATES, 1)]
    scored = [
        (_together(name, cases, (low + high) / 2, first.at_least), high - low, (low + high) / 2)
        for low, high in pairwise(values)
    ]
    quality, _, threshold = max(scored, key=lambda one: (one[0].f1, one[1]))
    return _round_between(threshold, values), quality


def _round_between(threshold: float, values: Sequence[float]) -> float:
    """The threshold with as few digits as leave it between the same two values."""
    below = max(value for value in values if value < threshold)
    above = min(value for value in values if value > threshold)
    for digits in range(1, 12):
        rounded = float(f"{threshold:.{digits}g}")
        if below < rounded < above:
            return rounded
    return threshold


def _together(name: str, cases: Sequence[_Case], threshold: float, at_least: bool) -> Quality:
    """The cascade with one filter at another threshold."""
    decided = []
    for case in cases:
        others = all(one.passed is not False for one in case.span.findings if one.filter != name)
        own = case.finding(name)
        decided.append((others and _passes(own, threshold, at_least), case.wanted, case.seconds))
    return _quality(decided)


def _passes(finding: FilterResult | None, threshold: float, at_least: bool) -> bool:
    if finding is None or finding.passed is None:
        return True
    if finding.measured is None:  # nothing to compare: the answer stays as it is, whatever the threshold
        return finding.passed
    return finding.measured >= threshold if at_least else finding.measured <= threshold


def _quality(decided: Sequence[tuple[bool, bool, float]]) -> Quality:
    """Of (kept, wanted, weight)."""
    kept = sum(weight for is_kept, _, weight in decided if is_kept)
    wanted = sum(weight for _, is_wanted, weight in decided if is_wanted)
    both = sum(weight for is_kept, is_wanted, weight in decided if is_kept and is_wanted)
    everything = sum(weight for *_, weight in decided)
    return Quality(
        both / kept if kept else None,
        both / wanted if wanted else None,
        kept / everything if everything else None,
    )


def lines(found: Calibration) -> Iterator[str]:
    """The same for people."""
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


def _cells(one: Calibrated) -> tuple[str, ...]:
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


def _three(one: Quality) -> str:
    return " / ".join(_number(value) for value in (one.precision, one.recall, one.yield_))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
