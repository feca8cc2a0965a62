"""Contestant contract: input and output of an animation model under evaluation (contract 2).

A contestant turns a portrait and a driving pose sequence into a video. It is registered in the entry-point
group `talkingpose.contestants` or named as `package.module:Class`. The entry point is a callable that takes
`checkpoint`, `device` and the contestant's own settings as keyword arguments and returns an object with
`info` and `animate`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from talkingpose.io.errors import UserError
from talkingpose.io.image import Image

ENTRY_POINT_GROUP = "talkingpose.contestants"

Keypoints = npt.NDArray[np.float32]
# Share of the driving frames that a contestant is given.
FramesSeen = Literal["none", "face", "all"]
FRAMES_SEEN: tuple[FramesSeen, ...] = get_args(FramesSeen)


class ContestantError(UserError):
    """A contestant that cannot be created or used as requested."""


@dataclass(frozen=True)
class ContestantWeights:
    """Weight file of a contestant: its name and the SHA-256 of its bytes, in hex."""

    name: str
    sha256: str


@dataclass(frozen=True)
class ContestantInfo:
    """Description of a contestant, for the run document and the leaderboard.

    Attributes:
        name: as shown on the leaderboard.
        revision: version of code and weights; runs of equal name and revision are the same contestant.
        parameters: number of parameters used at inference, 0 for a control.
        licence: SPDX identifier or a short text.
        window: number of frames generated together, 1 for a frame-by-frame model, None if unknown.
        batch_size: preferred number of clips per call of `animate`.
        needs_gpu: True if it cannot run on a CPU.
        needs_driving_frames: True if it needs driving frames, not only the keypoints; the short form of
            `driving_frames="all"`.
        control: True for a control row, which is shown on every leaderboard and never ranked.
        args: settings that affect the output; JSON scalars only.
        weights: weight files in use.
        driving_frames: `none`, only keypoints; `face`, the crops of `talkingpose.pose.face_crop`; `all`,
            whole frames. They are frames of the driving clip. In self-reenactment these are the frames to
            generate, so the leaderboard shows what a contestant saw.
        backbone: name of the pretrained model it is built on, such as `stable-diffusion-v1-5`; the
            leaderboard can show contestants of one backbone together. None if it has none.
        carry: number of generated frames that the next frame or window depends on, 0 for none, None if
            unknown.
        streams: True if it yields frames before it has read all poses, None if unknown.
        memory: `constant` if memory does not depend on the length of a clip, else `grows`; None if unknown.

    Example:
        >>> from talkingpose import ContestantInfo
        >>> info = ContestantInfo(name="still", revision="1", parameters=0, licence="MIT", window=1)
        >>> info.driving_frames, info.control
        ('none', False)
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
    driving_frames: FramesSeen = "none"
    backbone: str | None = None
    carry: int | None = None
    streams: bool | None = None
    memory: Literal["constant", "grows"] | None = None

    def __post_init__(self) -> None:
        """Make both forms of the request for driving frames agree."""
        if self.needs_driving_frames and self.driving_frames == "none":
            object.__setattr__(self, "driving_frames", "all")
        object.__setattr__(self, "needs_driving_frames", self.driving_frames != "none")


@dataclass(frozen=True)
class Case:
    """Input for one video to generate.

    Attributes:
        clip_id: id of the clip; in cross-reenactment, of the pair of portrait and driving clip.
        reference: portrait, uint8 RGB (height, width, 3).
        keypoints: driving poses, `num_frames` arrays float32 (133, 3) in COCO-WholeBody order: x and y in
            [0, 1] of the frame, confidence in [0, 1], zeros for a missing point. Lazy; each iteration
            starts from the first frame.
        fps: frames per second.
        width, height: size of each frame to generate, in pixels.
        num_frames: number of frames to generate.
        driving_frames: `num_frames` frames of the driving clip, lazy; None unless the contestant asks for
            them. `all`: uint8 RGB (height, width, 3); `face`: uint8 RGB (512, 512, 3).

    Example:
        >>> from talkingpose import Case, load_clips
        >>> clip = load_clips("tp-mini", split="test")[0]
        >>> case = Case(clip.clip_id, clip.portrait, clip.keypoints, clip.fps, *clip.size, clip.num_frames)
        >>> len(list(case.keypoints)) == case.num_frames
        True
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
    """Animation model or control, as the evaluator calls it.

    Example:
        >>> from talkingpose import ContestantInfo
        >>> class Still:
        ...     info = ContestantInfo(name="still", revision="1", parameters=0, licence="MIT")
        ...     def animate(self, cases, *, seed):
        ...         for step in range(max(case.num_frames for case in cases)):
        ...             yield [case.reference for case in cases if case.num_frames > step]
    """

    @property
    def info(self) -> ContestantInfo:
        """Description of the contestant; read once, after construction."""
        ...

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Generate the videos of all cases in lockstep.

        Args:
            cases: cases of one frame size; their numbers of frames may differ.
            seed: seed of the run. Draw the noise of a case from `case_seed(seed, case.clip_id)` only, so that
                the result does not depend on batch, shard, order or resume.

        Yields:
            For each time step t, one uint8 RGB (height, width, 3) frame per case with `num_frames > t`, in
            the order of `cases`. Yield frames as they are generated; no video is held in memory.
        """
        ...


class ContestantFactory(Protocol):
    """Callable that an entry point of the group `talkingpose.contestants` refers to."""

    def __call__(self, *, checkpoint: str | None, device: str, **args: str) -> Contestant:
        """Create a contestant.

        Raises:
            ContestantError: the checkpoint, the device or a setting is not usable.
        """
        ...


def case_seed(seed: int, clip_id: str) -> int:
    """Return the seed of a case: the first 63 bits of SHA-256 of `seed:clip_id`, in [0, 2**63)."""
    digest = hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def running(cases: Sequence[Case], step: int) -> list[int]:
    """Return the indices of the cases that have a frame at time step `step`, in order."""
    return [index for index, case in enumerate(cases) if case.num_frames > step]
