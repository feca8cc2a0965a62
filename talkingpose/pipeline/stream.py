"""Settings of a stream of frames, and the iterator that yields them."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from talkingpose.io.image import Image
from talkingpose.pipeline.ddim import Guidance
from talkingpose.pipeline.feedback import FeedbackController
from talkingpose.pipeline.inputs import PipelineError
from talkingpose.pipeline.stream_state import StreamState

Frame = Image | torch.Tensor
OutputType = Literal["np", "pt", "latent"]
# A sixth of the steps finds the latents to within a few per cent; the loop feeds back one part in twenty.
_GUESS_SHARE = 1 / 6


@dataclass(frozen=True)
class StreamSettings:
    """Settings of a stream; the fields are arguments of `TalkingPosePipeline.stream`.

    Raises:
        PipelineError: a setting is out of range.
    """

    num_inference_steps: int
    guidance: Guidance
    feedback: FeedbackController
    chunk_size: int = 1
    parallel_frames: int = 1
    parallel_tolerance: float = 1e-3
    output_type: OutputType = "np"

    def __post_init__(self) -> None:
        if self.output_type not in get_args(OutputType):
            raise PipelineError(
                f"output_type: {self.output_type}: give one of {', '.join(get_args(OutputType))}"
            )
        for name in ("chunk_size", "parallel_frames"):
            if getattr(self, name) < 1:
                raise PipelineError(f"{name}: {getattr(self, name)}: give 1 or more")
        if not self.parallel_tolerance >= 0:
            raise PipelineError(f"parallel_tolerance: {self.parallel_tolerance}: give 0 or more")

    @property
    def guess_steps(self) -> int:
        """Denoising steps of the rough first sweep over frames in parallel."""
        return max(1, round(self.num_inference_steps * _GUESS_SHARE))

    def window(self, num_clips: int) -> int:
        """Frames of each clip that are taken at once."""
        return max(1, self.parallel_frames, self.chunk_size // num_clips)

    def as_text(self) -> dict[str, str]:
        """Settings that determine the frames, for `StreamState`; chunks do not."""
        feedback = self.feedback
        is_data = dataclasses.is_dataclass(feedback)
        return {
            "num_inference_steps": str(self.num_inference_steps),
            "guidance": repr(self.guidance),
            "feedback": repr(feedback) if is_data else type(feedback).__qualname__,
        }


@dataclass(frozen=True)
class StreamItem:
    """The frames of one time step.

    Attributes:
        frames: one for each running clip.
        running: positions of these clips, ascending.
        state: of the stream after these frames.
    """

    frames: list[Frame]
    running: tuple[int, ...]
    state: StreamState


class FrameStream(Iterator[Any]):
    """Iterator over the frames of one clip, each a `Frame`, or over lists of frames of several clips.

    Attributes:
        state: of the stream after the last frame it gave, for `stream(state=...)`; None before the first.
        running: positions of the clips in the last list.
    """

    def __init__(self, items: Generator[StreamItem, None, None], batched: bool) -> None:
        self._items, self._batched = items, batched
        self.state: StreamState | None = None
        self.running: tuple[int, ...] = ()

    def __next__(self) -> Any:
        item = next(self._items)
        self.state, self.running = item.state, item.running
        return item.frames if self._batched else item.frames[0]

    def close(self) -> None:
        """Take no more poses and free everything that is held for the video."""
        self._items.close()
