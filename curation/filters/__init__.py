"""Filters: one file each, registered as entry points of the group `talkingpose.filters`.

Filters run in the order of the configuration; the first one that fails gives the reason of a rejection.
"""

from __future__ import annotations

from collections.abc import Mapping

from curation.detect.measurements import Shot
from curation.filters.base import (
    Filter,
    FilterSettings,
    FilterSpec,
    Measurement,
    SampleFilter,
    SampleSettings,
)
from curation.filters.registry import FilterError, SimpleFilter, get, names
from curation.records import FilterResult

__all__ = [
    "Filter",
    "FilterError",
    "FilterSettings",
    "FilterSpec",
    "Measurement",
    "SampleFilter",
    "SampleSettings",
    "SimpleFilter",
    "get",
    "judge",
    "measure",
    "names",
]


def measure(shot: Shot, settings: Mapping[str, FilterSettings | None]) -> dict[str, Measurement]:
    """Measure a shot with every filter that is on.

    Args:
        shot: Shot with its samples.
        settings: Settings by filter name; None turns a filter off.
    """
    return {name: get(name).measure(shot, own) for name, own in settings.items() if own is not None}


def judge(shot: Shot, settings: Mapping[str, FilterSettings | None]) -> tuple[FilterResult, ...]:
    """Results of every filter that is on, in the order of `settings`; none is skipped after a failure."""
    return tuple(measurement.result() for measurement in measure(shot, settings).values())
