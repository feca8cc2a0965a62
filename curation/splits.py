"""Which split a clip belongs to: a matter of its person or source, never of order or number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def split_of(cluster: str, shares: Mapping[str, float]) -> str:
    """The split of everything that belongs together.

    Args:
        cluster: the person where one is known, else the source.
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
