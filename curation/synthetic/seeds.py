"""Random streams of the drawn speakers: one per purpose, so that no stream can disturb another."""

from __future__ import annotations

import zlib

import numpy as np

LARGEST_SEED = 2**63

# The speakers of benchmark/data/tp-mini. They are for testing: `pairs.DrawnPairs`, the source of training
# frames, refuses every one of these seeds, for identity and motion alike.
HELD_OUT_SEEDS = range(900_000_000, 900_001_000)


class SeedError(ValueError):
    """An argument that the drawn speakers cannot be made from; the message is one line."""


def stream(purpose: str, seed: int) -> np.random.Generator:
    """Return the PCG64 generator of one purpose, such as "identity" or "speech", for one seed.

    Raises:
        SynthError: the seed is not an integer in [0, 2**63).
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < LARGEST_SEED:
        raise SeedError(f"seed: {seed!r}: give an integer from 0 to 2**63 - 1")
    entropy = [zlib.crc32(purpose.encode()), int(seed)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
