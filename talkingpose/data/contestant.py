"""Contract 2: what a contestant is given and what it gives back.

A contestant is anything that turns one portrait and a driving pose sequence into a video. It is found
through the entry-point group `talkingpose.contestants` (or named as `package.module:Class`); the entry
point is a callable that takes `checkpoint`, `device` and its own settings by keyword and returns an object
with `info` and `animate`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from talkingpose.io.errors import UserError

ENTRY_POINT_GROUP = "talkingpose.contestants"

Image = npt.NDArray[np.uint8]
Keypoints = npt.NDArray[np.float32]


class ContestantError(UserError):
    """A contestant cannot be made or used as asked."""


@dataclass(frozen=True)
class ContestantWeights:
    """One file of weights that a contestant uses: its name and the SHA-256 of its bytes, in hex."""

    name: str
    sha256: str


@dataclass(frozen=True)
class ContestantInfo:
    """What a board needs to know of a contestant.

    Attributes:
        name: as shown on the board.
        revision: of the code and weights; two runs of equal name and revision are the same contestant.
        parameters: number of parameters used at inference, 0 for a control.
        licence: SPDX identifier or a short text.
        window: number of frames generated together, 1 for a frame-by-frame model, None where unknown.
        batch_size: number of clips it likes to animate at once.
        needs_gpu: True where it cannot run on a CPU.
        needs_driving_frames: True where it asks for the driving frames, not only for keypoints. The board
            shows it: such a contestant may see what it is to generate.
        control: True for a control row: shown on every board, never ranked.
        args: the settings that move its output, JSON values only.
        weights: the files it uses.
    """

    name: str
    revision: str
    parameters: int
    licence: str
    window: int | None = 1
    batch_size: int = 1
    needs_gpu: bool = False
    needs_driving_frames: bool = False
    control: bool = False
    args: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    weights: tuple[ContestantWeights, ...] = ()


@dataclass(frozen=True)
class Case:
    """One clip to generate.

    Attributes:
        clip_id: of the clip in the dataset; across identities, of the pair of portrait and driving clip.
        reference: the portrait, uint8 RGB (H, W, 3), of the size of the frames to generate.
        keypoints: the driving poses, `num_frames` arrays float32 (133, 3): x and y in [0, 1] of the frame,
            confidence in [0, 1], zeros where there is no such point. Each iteration starts anew and is lazy.
        fps: frames per second.
        width, height: size in pixels of every frame to generate.
        num_frames: number of frames to generate.
        driving_frames: uint8 RGB (H, W, 3) frames of the driving clip, lazily; None unless the
            contestant's `info.needs_driving_frames` asks for them.
    """

    clip_id: str
    reference: Image
    keypoints: Iterable[Keypoints]
    fps: Fraction
    width: int
    height: int
    num_frames: int
    driving_frames: Iterable[Image] | None = None


class Contestant(Protocol):
    """An animation model, or a control, as the evaluator sees it."""

    @property
    def info(self) -> ContestantInfo:
        """What the board needs to know; settled once the contestant is made."""
        ...

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Generate all cases in lockstep.

        Args:
            cases: clips of one frame size; their numbers of frames may differ.
            seed: of the run. Noise of a case is drawn from `case_seed(seed, case.clip_id)` alone, so that
                its result does not depend on batch, shard, order or resume.

        Yields:
            For time step t one uint8 RGB (H, W, 3) frame for each case with `num_frames > t`, in the order
            of `cases`. Frames are yielded as they are made; nobody holds a video in memory.
        """
        ...


class ContestantFactory(Protocol):
    """What an entry point of the group `talkingpose.contestants` refers to."""

    def __call__(self, *, checkpoint: str | None, device: str, **args: str) -> Contestant:
        """Make a contestant; raises ContestantError where checkpoint, device or a setting do not fit."""
        ...


def case_seed(seed: int, clip_id: str) -> int:
    """The seed of one case: the first 63 bits of SHA-256 of `seed:clip_id`, in [0, 2**63)."""
    digest = hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def running(cases: Sequence[Case], step: int) -> list[int]:
    """Indices of the cases that have a frame at time step `step`, in their order."""
    return [index for index, case in enumerate(cases) if case.num_frames > step]
