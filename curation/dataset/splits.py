"""Splits by hash of person or source, independent of order and number of clips."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping


def split_of(group: str, shares: Mapping[str, float]) -> str:
    """Return the split of a group of sources.

    Args:
        group: name of the group, from `group_sources`.
        shares: by split, in any unit. The same name and shares always give the same split.
    """
    point = int.from_bytes(hashlib.sha256(f"split {group}".encode()).digest()[:8]) / 2**64
    total = sum(shares.values())
    reached = 0.0
    for name in sorted(shares):
        reached += shares[name] / total
        if point < reached and shares[name] > 0:
            return name
    return max(shares, key=lambda name: shares[name])


def group_sources(
    appearances: Iterable[tuple[str, str | None]], copies: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """Group sources that share a person or footage, through any chain; a group must not be split.

    Args:
        appearances: (source, person in it); None where the person is unknown.
        copies: pairs of sources with the same footage.

    Returns:
        Source -> name of its group: the first of its persons, or its first source where none is known. A new
        source that joins two groups may change the split of one of them; nothing else changes a split.
    """
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    def join(one: tuple[str, str], other: tuple[str, str]) -> None:
        # Persons sort before sources.
        first, last = sorted((one, other))
        parent[last] = first

    sources = set()
    for source, person in appearances:
        sources.add(source)
        own = root(("source", source))
        if person is not None:
            other = root(("person", person))
            join(own, other)
    for one, copy in copies:
        join(root(("source", one)), root(("source", copy)))
    return {source: root(("source", source))[1] for source in sources}
