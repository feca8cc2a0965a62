"""The filters: one file each, with its settings and `judge`; what stands here is the order they speak in."""

from __future__ import annotations

from typing import Any, Protocol

from curation.filters import face, hands, length, people, shoulders, size
from curation.filters.finding import Finding
from curation.measurement import Shot


class Filter(Protocol):
    """A module of this package."""

    Settings: type[Any]

    def judge(self, shot: Shot, settings: Any) -> Finding:
        """Measure one thing and compare it with its threshold."""


# Cheap and plain reasons first: the first filter that fails gives the reason of a rejection.
FILTERS: dict[str, Any] = {
    "length": length,
    "face": face,
    "people": people,
    "shoulders": shoulders,
    "size": size,
    "hands": hands,
}


def judge(shot: Shot, settings: dict[str, Any]) -> tuple[Finding, ...]:
    """Ask every filter that has settings; each answers, also after one has said no.

    Args:
        shot: with at least one sample.
        settings: by name of the filter, None where one is turned off.
    """
    return tuple(FILTERS[name].judge(shot, chosen) for name, chosen in settings.items() if chosen is not None)
