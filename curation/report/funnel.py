"""Funnel of footage: amounts by step, by reason, by filter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from curation.records import STEPS, FilterResult, ShotVerdict, SourceRecord
from curation.report.explain import STEP_MEANING


@dataclass(frozen=True)
class Amount:
    """Number of spans and their seconds."""

    spans: int
    seconds: float


@dataclass(frozen=True)
class FunnelStep:
    """Amount left after a step of the cascade, and amounts that the step removed."""

    name: str
    meaning: str
    left: Amount
    rejected: Amount
    undecided: Amount


@dataclass(frozen=True)
class FilterYield:
    """Amounts of one filter.

    Attributes:
        filter, step, threshold, at_least, unit: of the filter.
        asked: spans that the filter ran on.
        failed: spans that it rejects.
        alone: spans that no other filter rejects.
        values: (measured value, seconds of the span, True where the span was kept).
    """

    filter: str
    step: str
    threshold: float
    at_least: bool
    unit: str
    asked: Amount
    failed: Amount
    alone: Amount
    values: tuple[tuple[float, float, bool], ...]

    @property
    def yield_(self) -> float | None:
        """Share of the seconds that passed; None where the filter never ran."""
        return 1 - self.failed.seconds / self.asked.seconds if self.asked.seconds else None


def funnel(records: Sequence[SourceRecord], exported: Collection[str]) -> list[FunnelStep]:
    """Compute the amounts from all footage to the dataset, step by step.

    Args:
        records: all sources.
        exported: ids of the clips in the dataset.
    """
    spans = [span for record in records for span in record.shots]
    nothing = Amount(0, 0.0)
    stages = [FunnelStep("footage", "all spans of all readable sources", amount(spans), nothing, nothing)]
    left = spans
    for step in STEPS:
        ended = {
            verdict: [span for span in left if span.step == step and span.verdict == verdict]
            for verdict in ("reject", "error")
        }
        left = [span for span in left if span.verdict == "keep" or span.step != step]
        stages.append(
            FunnelStep(
                step, STEP_MEANING[step], amount(left), amount(ended["reject"]), amount(ended["error"])
            )
        )
    inside = [span for span in left if span.clip_id in exported]
    outside = [span for span in left if span.clip_id not in exported]
    meaning = "without duplicates of other sources"
    stages.append(FunnelStep("dataset", meaning, amount(inside), amount(outside), nothing))
    return stages


def by_reason(records: Sequence[SourceRecord]) -> list[tuple[str, Amount, Amount]]:
    """List (reason, spans where it is the first reason, spans where it is one of them), largest first."""
    first: dict[str, list[ShotVerdict]] = defaultdict(list)
    among: dict[str, list[ShotVerdict]] = defaultdict(list)
    for span in (span for record in records for span in record.shots if span.verdict == "reject"):
        first[span.reason or ""].append(span)
        for reason in {*span.reasons, span.reason or ""}:
            among[reason].append(span)
    rows = [(reason, amount(first[reason]), amount(among[reason])) for reason in among]
    return sorted(rows, key=lambda row: (-row[1].seconds, -row[2].seconds, row[0]))


def by_filter(records: Sequence[SourceRecord]) -> list[FilterYield]:
    """List the amounts of every filter, in the order of the cascade."""
    results: dict[str, list[tuple[ShotVerdict, FilterResult]]] = {}
    for span in (span for record in records for span in record.shots if span.verdict != "error"):
        for result in span.findings:
            results.setdefault(result.filter, []).append((span, result))
    return [_yield_of(name, pairs) for name, pairs in results.items()]


def amount(spans: Sequence[ShotVerdict]) -> Amount:
    """Count spans and add up their seconds."""
    return Amount(len(spans), sum(seconds(span) for span in spans))


def seconds(span: ShotVerdict) -> float:
    """Duration of a span."""
    return span.end_s - span.start_s


def _yield_of(name: str, pairs: Sequence[tuple[ShotVerdict, FilterResult]]) -> FilterYield:
    last = pairs[-1][1]
    failed = [span for span, one in pairs if one.passed is False]
    return FilterYield(
        filter=name,
        step=last.step,
        threshold=last.threshold,
        at_least=last.at_least,
        unit=last.unit,
        asked=amount([span for span, one in pairs if one.passed is not None]),
        failed=amount(failed),
        alone=amount([s for s in failed if sum(one.passed is False for one in s.findings) == 1]),
        values=tuple(
            (one.measured, seconds(span), span.verdict == "keep")
            for span, one in pairs
            if one.measured is not None and one.passed is not None
        ),
    )
