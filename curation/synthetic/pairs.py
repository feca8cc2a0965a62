"""Synthetic speakers as a source of training frames, rendered on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from curation.detect.measurements import Keypoints
from curation.synthetic.identity import draw_identity
from curation.synthetic.motion import Motion
from curation.synthetic.render import Scene, frames
from curation.synthetic.seeds import HELD_OUT_SEEDS, SeedError
from talkingpose.io.image import Image

# Two minutes: more than any pair needs, and quick to generate.
_FRAMES = 3000
# Speakers and side of the pictures hashed by `revision`.
_SAMPLED = 8
_SAMPLED_SIDE = 64


class SyntheticPairs:
    """One endless clip per identity; identity and motion of clip i have the seed `first_seed + i`.

    Args:
        identities: Number of speakers.
        first_seed: Seed of the first speaker. Splits with disjoint seeds are disjoint. 900000000 to 900000999
            are the speakers of tp-mini and not for training.

    Raises:
        SeedError: No identity, or a seed out of range or of tp-mini.
    """

    def __init__(self, identities: int, first_seed: int) -> None:
        if isinstance(identities, bool) or not isinstance(identities, int) or identities < 1:
            raise SeedError(f"identities: {identities!r}: give an integer from 1")
        draw_identity(first_seed)
        if first_seed < HELD_OUT_SEEDS.stop and first_seed + identities > HELD_OUT_SEEDS.start:
            raise SeedError(
                f"first_seed: {first_seed}: {identities} identities reach into {HELD_OUT_SEEDS.start} to "
                f"{HELD_OUT_SEEDS.stop - 1}, the speakers of tp-mini: give another"
            )
        self._identities, self._first_seed = identities, first_seed

    @cached_property
    def revision(self) -> str:
        """Hash of a few pictures; it changes when the renderer changes."""
        digest = hashlib.sha256()
        for seed in range(_SAMPLED):
            (image, keypoints), *_ = frames(seed, seed, 1, _SAMPLED_SIDE)
            digest.update(image.tobytes() + keypoints.astype(np.float16).tobytes())
        return digest.hexdigest()[:16]

    def __len__(self) -> int:
        return self._identities

    def num_frames(self, clip: int) -> int:
        """Number of frames of a clip."""
        return _FRAMES

    def frames(self, clip: int, indices: Sequence[int], side: int) -> list[tuple[Image, Keypoints]]:
        """Square pictures uint8 (side, side, 3) RGB with keypoints float32 (133, 3)."""
        seed = self._first_seed + clip
        scene, motion = Scene(draw_identity(seed), side), Motion(seed)
        return [scene.render(motion.at(index)) for index in indices]
