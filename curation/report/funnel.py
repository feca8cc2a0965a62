"""What became of footage, in numbers: by step, by reason, by filter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from curation.records import STEPS, FilterResult, ShotVerdict, SourceRecord
from curation.report.explain import STEP_MEANING


@dataclass(frozen=True)
class Amount:
    """Spans and their seconds."""

    spans: int
    seconds: float


@dataclass(frozen=True)
class FunnelStep:
    """How much was left after a step of the cascade, and what the step took."""

    name: str
    meaning: str
    left: Amount
    rejected: Amount
    undecided: Amount


@dataclass(frozen=True)
class FilterTally:
    """One filter.

    Attributes:
        asked, failed: spans.
        alone: of the failed ones, those that no other filter rejects.
        values: what was measured, with the seconds of the span and whether it was kept.
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
        """Share of the seconds asked about that passed; None where it was never asked."""
        return 1 - self.failed.seconds / self.asked.seconds if self.asked.seconds else None


def funnel(records: Sequence[SourceRecord], exported: Collection[str]) -> list[FunnelStep]:
    """From all footage to the dataset, step by step.

    Args:
        exported: ids of the clips in the dataset.
    """
    spans = [span for record in records for span in record.shots]
    nothing = Amount(0, 0.0)
    stages = [
        FunnelStep("footage", "all spans of all sources that could be read", amount(spans), nothing, nothing)
    ]
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
    meaning = "without what another source has as well"
    stages.append(FunnelStep("dataset", meaning, amount(inside), amount(outside), nothing))
    return stages


def by_reason(records: Sequence[SourceRecord]) -> list[tuple[str, Amount, Amount]]:
    """(reason, spans where it came first, spans where it was among the reasons), the dearest first."""
    first: dict[str, list[ShotVerdict]] = defaultdict(list)
    among: dict[str, list[ShotVerdict]] = defaultdict(list)
    for span in (span for record in records for span in record.shots if span.verdict == "reject"):
        first[span.reason or ""].append(span)
        for reason in {*span.reasons, span.reason or ""}:
            among[reason].append(span)
    rows = [(reason, amount(first[reason]), amount(among[reason])) for reason in among]
    return sorted(rows, key=lambda row: (-row[1].seconds, -row[2].seconds, row[0]))


def by_filter(records: Sequence[SourceRecord]) -> list[FilterTally]:
    """Every filter, in the order in which they are asked."""
    found: dict[str, list[tuple[ShotVerdict, FilterResult]]] = {}
    for span in (span for record in records for span in record.shots if span.verdict != "error"):
        for finding in span.findings:
            found.setdefault(finding.filter, []).append((span, finding))
    return [_tally(name, pairs) for name, pairs in found.items()]


def amount(spans: Sequence[ShotVerdict]) -> Amount:
    """How many, and how long together."""
    return Amount(len(spans), sum(seconds(span) for span in spans))


def seconds(span: ShotVerdict) -> float:
    """How long a span lasts."""
    return span.end_s - span.start_s


def _tally(name: str, pairs: Sequence[tuple[ShotVerdict, FilterResult]]) -> FilterTally:
    last = pairs[-1][1]
    failed = [span for span, one in pairs if one.passed is False]
    return FilterTally(
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
