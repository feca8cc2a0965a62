"""Yield and keypoint coverage by the brightness of the face, light, size of the face and yaw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curation.records import ShotVerdict, SourceRecord
from curation.report.ratio_estimator import EstimatedTotal, ratio_total

# Property, its unit, and the edges between its three groups.
PROPERTIES = {
    "face_luma": ("brightness of the face, luma 0 to 255", (70.0, 120.0)),
    "light": ("brightness of the picture, luma 0 to 255", (50.0, 110.0)),
    "face_height": ("height of the face, share of the picture", (0.12, 0.25)),
    "yaw_deg": ("yaw of the head, degrees", (15.0, 40.0)),
}
_MANY = 10**9  # sources of the population: no finite population correction


@dataclass(frozen=True)
class GroupYield:
    """Outcome of the spans with one property in one range.

    Attributes:
        label: Property and unit.
        low, high: Range; None without a bound.
        sources, spans, seconds: Amounts.
        kept: Share of the seconds that were kept, with an interval over sources.
        hands: Share of the samples with a hand, weighted by seconds, with an interval over sources.
    """

    label: str
    low: float | None
    high: float | None
    sources: int
    spans: int
    seconds: float
    kept: EstimatedTotal
    hands: EstimatedTotal


def by_group(records: Sequence[SourceRecord]) -> list[GroupYield]:
    """Outcome by group, with 95 % intervals that treat each source as one unit."""
    table = []
    for name, (label, (first, second)) in PROPERTIES.items():
        for low, high in ((None, first), (first, second), (second, None)):
            spans = {
                record.source_id: own
                for record in records
                if (own := [span for span in record.shots if _within(span, name, low, high)])
            }
            if spans:
                table.append(_outcome(label, low, high, list(spans.values())))
    return table


def _within(span: ShotVerdict, name: str, low: float | None, high: float | None) -> bool:
    value = span.appearance.get(name)
    return value is not None and (low is None or value >= low) and (high is None or value < high)


def _outcome(
    label: str, low: float | None, high: float | None, sources: list[list[ShotVerdict]]
) -> GroupYield:
    sizes = [sum(_seconds(span) for span in own) for own in sources]
    kept = [sum(_seconds(span) for span in own if span.verdict == "keep") for own in sources]
    seen = [sum(_seconds(span) * span.appearance["hands"] for span in own) for own in sources]
    return GroupYield(
        label,
        low,
        high,
        len(sources),
        sum(map(len, sources)),
        sum(sizes),
        ratio_total(kept, sizes, 1.0, _MANY),
        ratio_total(seen, sizes, 1.0, _MANY),
    )


def _seconds(span: ShotVerdict) -> float:
    return span.end_s - span.start_s
