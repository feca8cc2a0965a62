"""Balanced design: the pairs and clips that each rater sees, left and right at random."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedPair:
    """A pair of contestants on a clip, as positions in their lists."""

    clip: int
    left: int
    right: int


def balanced_pairs(
    contestants: int, clips: int, raters: int, per_rater: int, draw: random.Random
) -> list[list[PlannedPair]]:
    """Assign pairs to raters.

    All pairs on all clips form one sequence in which neither a pair nor a clip comes twice before all others
    have come. Raters take consecutive parts of it, so counts of pairs, of clips and of pairs on a clip differ
    by at most 2 over the whole study. A rater sees a pair on a clip once. Each pair is shown equally often
    in both orders.

    Args:
        contestants: number of contestants, from 2.
        clips: number of clips.
        raters: number of raters.
        per_rater: number of pairs for each rater; reduced to the number of different ones.
        draw: source of chance.

    Returns:
        For each rater a shuffled list.
    """
    pairs = list(itertools.combinations(range(contestants), 2))
    draw.shuffle(pairs)
    names = list(range(clips))
    draw.shuffle(names)
    per_rater = min(per_rater, len(pairs) * clips)
    cells = _cells(len(pairs), clips)
    orders = [_orders(draw) for _ in pairs]
    plan = []
    for _ in range(raters):
        own = []
        for pair, clip in itertools.islice(cells, per_rater):
            one, other = pairs[pair]
            left, right = (other, one) if next(orders[pair]) else (one, other)
            own.append(PlannedPair(names[clip], left, right))
        draw.shuffle(own)
        plan.append(own)
    return plan


def _cells(pairs: int, clips: int) -> Iterator[tuple[int, int]]:
    """Yield (pair, clip) without end; every combination once before any comes again."""
    block = math.lcm(pairs, clips)
    for i in itertools.count():
        i %= pairs * clips
        yield i % pairs, (i + i // block) % clips


def _orders(draw: random.Random) -> Iterator[bool]:
    """Yield whether to swap a pair; both orders come once in every two."""
    while True:
        first = draw.random() < 0.5
        yield first
        yield not first
