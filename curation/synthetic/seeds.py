"""Random streams of synthetic speakers: one per purpose, independent of one another."""

from __future__ import annotations

import zlib

import numpy as np

LARGEST_SEED = 2**63

# Speakers of benchmark/data/tp-mini. They are for testing: `pairs.SyntheticPairs`, the source of training
# frames, refuses these seeds for identity and motion.
HELD_OUT_SEEDS = range(900_000_000, 900_001_000)


class SeedError(ValueError):
    """Invalid argument of the renderer; the message is one line."""


def stream(purpose: str, seed: int) -> np.random.Generator:
    """PCG64 generator of one purpose, such as "identity" or "speech", and one seed.

    Raises:
        SeedError: The seed is not an integer in [0, 2**63).
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < LARGEST_SEED:
        raise SeedError(f"seed: {seed!r}: give an integer from 0 to 2**63 - 1")
    entropy = [zlib.crc32(purpose.encode()), int(seed)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
