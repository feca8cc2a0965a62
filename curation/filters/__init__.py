"""The filters: one file each, with its settings and what it measures; here stands the order they speak in."""

from __future__ import annotations

from typing import Any, Protocol

from curation.detect.measurements import Shot
from curation.filters import (
    borders,
    brightness,
    cut,
    face,
    face_sharpness,
    face_size,
    glare,
    hands,
    identity,
    length,
    motion,
    people,
    shoulders,
    size,
    text,
    yaw,
)
from curation.filters.filter_result import Levels, answer
from curation.records import FilterResult


class Filter(Protocol):
    """A module of this package that looks at samples."""

    Settings: type[Any]

    def levels(self, shot: Shot, settings: Any) -> Levels:
        """Measure one thing in every sample and set the threshold beside it."""


# Plain reasons first: the first filter that fails gives the reason of a rejection. What hides a face comes
# before the face: a dark picture is dark, and not without a person.
SAMPLED: dict[str, Any] = {
    "brightness": brightness,
    "face_sharpness": face_sharpness,
    "face": face,
    "glare": glare,
    "people": people,
    "shoulders": shoulders,
    "face_size": face_size,
    "size": size,
    "yaw": yaw,
    "hands": hands,
    "borders": borders,
    "text": text,
    "motion": motion,
    "cut": cut,
    "identity": identity,
}
FILTERS: dict[str, Any] = {"length": length, **SAMPLED}


def levels_of(shot: Shot, settings: dict[str, Any]) -> dict[str, Levels]:
    """What every filter that has settings measures in the samples.

    Args:
        shot: with at least one sample.
        settings: by name of the filter, None where one is turned off.
    """
    return {
        name: module.levels(shot, settings[name])
        for name, module in SAMPLED.items()
        if settings.get(name) is not None
    }


def judge(shot: Shot, settings: dict[str, Any]) -> tuple[FilterResult, ...]:
    """Ask every filter that has settings; each answers, also after one has said no."""
    findings = [answer(name, levels) for name, levels in levels_of(shot, settings).items()]
    if settings.get("length") is not None:
        findings.insert(0, length.judge(shot.duration_s, settings["length"], "scan"))
    return tuple(findings)
