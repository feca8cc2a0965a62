"""Metrics and features that installed packages register as entry points."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from talkingpose.data.contestant_loading import describe
from talkingpose.io.errors import UserError

PROJECT = "talkingpose"


class RegistrationError(UserError):
    """An entry point is missing, ambiguous or broken."""


@cache
def registered(group: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    """Entry points of a group by name; several where packages disagree about a name.

    Those of this project come first, in the order of `pyproject.toml`; the others follow, sorted.
    """
    entries = entry_points(group=group)
    own = [entry for entry in entries if distribution(entry) == PROJECT]
    others = sorted((entry for entry in entries if entry not in own), key=lambda entry: entry.name)
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in (*own, *others):
        found.setdefault(entry.name, {})[entry.value] = entry
    return {name: tuple(targets.values()) for name, targets in found.items()}


def distribution(entry: EntryPoint) -> str:
    """Name of the package that registers an entry point."""
    return entry.dist.name if entry.dist is not None else "unknown"


@cache
def load(group: str, name: str) -> Any:
    """Import the target of an entry point.

    Raises:
        RegistrationError: no package or more than one registers the name, or the import fails.
    """
    entries = registered(group).get(name, ())
    if not entries:
        raise RegistrationError(f"{group} {name}: not installed: install the package that registers it")
    if len(entries) > 1:
        targets = " and ".join(f"{entry.value} of {distribution(entry)}" for entry in entries)
        raise RegistrationError(f"{group} {name}: registered twice: {targets}: uninstall one of them")
    try:
        return entries[0].load()
    except Exception as error:
        raise RegistrationError(
            f"{group} {name}: {entries[0].value} cannot be loaded: {describe(error)}"
        ) from error
