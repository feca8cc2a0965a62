"""Registry of filters: entry points of the group `talkingpose.filters`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

import numpy as np

from curation.detect.measurements import Shot
from curation.filters.base import Filter, FilterSettings, FilterSpec, Measurement
from talkingpose.io.errors import UserError

GROUP = "talkingpose.filters"
# Names of results that come from other steps.
_RESERVED = ("gate", "steady")


class FilterError(UserError):
    """A filter that is not registered or cannot be loaded."""


class SimpleFilter(Protocol):
    """Filter without settings that judges a whole span.

    Attributes:
        name: Name of its entry point. An optional attribute `version` ("1" by default) is bumped to
            invalidate cached results.
    """

    name: str

    def filter(self, shot: Shot) -> bool | tuple[bool, str]:
        """Return whether the span passes, or (False, reason)."""


def names() -> tuple[str, ...]:
    """Names of all installed filters, sorted."""
    return tuple(sorted(_entries()))


@cache
def get(name: str) -> Filter:
    """Return the filter of this name.

    Raises:
        FilterError: The filter is not installed, is registered by two packages, or cannot be loaded.
    """
    found = _entries().get(name)
    if found is None:
        raise FilterError(
            f"filter {name}: not installed: choose one of {', '.join(names()) or '-'}; "
            "after an update of the project, install it again (pip install -e .)"
        )
    if len(found) > 1 or name in _RESERVED:
        targets = " and ".join(sorted(entry.value for entry in found))
        raise FilterError(f"filter {name}: registered as {targets}: rename or uninstall one of them")
    target = found[0].value
    try:
        made = found[0].load()()
        loaded: Filter = _SpanFilter(made) if callable(getattr(made, "filter", None)) else made
        fits = loaded.spec.name == name and callable(loaded.measure)
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        raise FilterError(f"filter {name}: cannot load {target}: {message}") from error
    if not fits:
        raise FilterError(f"filter {name}: {target} has another name: see examples/my_filter.py")
    return loaded


class _SpanFilter:
    """Adapter that gives a `SimpleFilter` the interface of `Filter`."""

    Settings = FilterSettings

    def __init__(self, simple: SimpleFilter) -> None:
        self._simple = simple
        version = str(getattr(simple, "version", "1"))
        self.spec = FilterSpec(
            simple.name, "yes or no", f"rejected by {simple.name}", per="span", version=version
        )

    def measure(self, shot: Shot, settings: FilterSettings) -> Measurement:
        """Run the filter on the whole span."""
        answer = self._simple.filter(shot)
        passed, reason = answer if isinstance(answer, tuple) else (answer, self.spec.reason)
        return Measurement(replace(self.spec, reason=reason), settings, np.array([float(bool(passed))]))


@cache
def _entries() -> dict[str, list[EntryPoint]]:
    """Entry points by name; more than one where packages disagree about a name."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, {})[entry.value] = entry
    return {name: list(targets.values()) for name, targets in found.items()}
