"""Random pairs of frames of a dataset, for training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.data.clips import Clip
from talkingpose.data.schema import DatasetError
from talkingpose.io.image import Image


@dataclass(frozen=True)
class FramePair:
    """Two frames of one clip.

    Attributes:
        clip_id: clip of both.
        reference, target: uint8 RGB (height, width, 3).
        reference_keypoints, target_keypoints: float32 (133, 3): x, y, confidence in [0, 1].
        indices: frame numbers of reference and target.
    """

    clip_id: str
    reference: Image
    target: Image
    reference_keypoints: npt.NDArray[np.float32]
    target_keypoints: npt.NDArray[np.float32]
    indices: tuple[int, int]

    def arrays(self) -> dict[str, Any]:
        """Return the pair as a dictionary, which the default `collate_fn` of a `DataLoader` stacks."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class RandomPairs:
    """One pair of frames of each clip, drawn again in each epoch; a map-style dataset for `DataLoader`.

    The pair depends on seed, epoch and clip only, not on the order of access or the worker. Decoding starts
    at the key frame before a frame, so clips made with `tp-curate run --gop 12` give pairs faster.

    Args:
        clips: clips of at least two frames; shorter ones are left out.
        seed: of the draws.

    Raises:
        DatasetError: no clip has two frames.
    """

    def __init__(self, clips: Sequence[Clip], seed: int = 0) -> None:
        self.clips = [clip for clip in clips if clip.num_frames > 1]
        if not self.clips:
            raise DatasetError("frames 'random pair': no clip has two frames: give another split")
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Select the draws of an epoch; call it before the workers of a `DataLoader` start."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def __iter__(self) -> Iterator[FramePair]:
        """Decode the pairs in the order of the clips."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> FramePair:
        """Decode the pair of a clip; IndexError at the end, as of a list."""
        clip = self.clips[index]
        one, other = self._drawn(clip)
        low, high = min(one, other), max(one, other)
        images = clip.frames_at([low, high])
        keypoints = clip.keypoints
        image_of = dict(zip((low, high), images, strict=True))
        return FramePair(
            clip.clip_id, image_of[one], image_of[other], keypoints[one], keypoints[other], (one, other)
        )

    def _drawn(self, clip: Clip) -> tuple[int, int]:
        """Draw two different frame numbers."""
        digest = hashlib.sha256(f"{self.seed} {self.epoch} {clip.clip_id}".encode()).digest()
        rng = np.random.default_rng(list(digest))
        one, other = rng.choice(clip.num_frames, 2, replace=False)
        return int(one), int(other)
