"""Too short to learn or to judge movement from."""

from __future__ import annotations

from pydantic import PositiveFloat

from curation.filters.filter_result import FilterSettings
from curation.records import FilterResult, Step


class Settings(FilterSettings):
    """`min_s`: seconds."""

    min_s: PositiveFloat


def judge(duration_s: float, settings: Settings, step: Step) -> FilterResult:
    """Length in seconds: of a source by its packets (`index`), of a span by its frames (`scan`)."""
    passed = duration_s >= settings.min_s - 1e-9
    reason = None if passed else "too short"
    return FilterResult(
        filter="length",
        step=step,
        passed=passed,
        measured=round(duration_s, 6),
        threshold=settings.min_s,
        at_least=True,
        unit="s",
        reason=reason,
    )
