"""Which split a clip belongs to: a matter of its person or source, never of order or number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping


def split_of(cluster: str, shares: Mapping[str, float]) -> str:
    """The split of everything that belongs together.

    Args:
        cluster: what `groups` gives.
        shares: by split, in any unit; the same shares give the same answer for ever.
    """
    point = int.from_bytes(hashlib.sha256(f"split {cluster}".encode()).digest()[:8]) / 2**64
    total = sum(shares.values())
    reached = 0.0
    for name in sorted(shares):
        reached += shares[name] / total
        if point < reached and shares[name] > 0:
            return name
    return max(shares, key=lambda name: shares[name])


def groups(seen: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """What must not be parted, by source: sources that share a person, through any chain of them.

    Args:
        seen: (source, person in it); a person who is not known joins nothing.

    Returns:
        By source, the first of the persons in its group, or the source itself where none is known. A group
        that a new source joins to another may change its split; nothing else does.
    """
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    sources = set()
    for source, person in seen:
        sources.add(source)
        own = root(("source", source))
        if person is not None:
            other = root(("person", person))
            # Persons stand before sources, and the first of each kind in front.
            first, last = sorted((own, other))
            parent[last] = first
    names: dict[str, str] = {}
    for source in sources:
        kind, name = root(("source", source))
        names[source] = name if kind == "person" else source
    return names
