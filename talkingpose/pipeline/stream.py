"""A video as it is made: an iterator of frames that knows where it stands."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from talkingpose.pipeline.batching import TimeStep, time_steps, windows
from talkingpose.pipeline.ddim import Guidance, Sampler, denoise, make_sampler
from talkingpose.pipeline.feedback import FeedbackController, FeedbackState, FrameContext
from talkingpose.pipeline.frame_loop import Denoiser, Solved, in_parallel, in_sequence
from talkingpose.pipeline.inputs import Picture, PipelineError, as_array, to_device
from talkingpose.pipeline.stream_state import StreamState

if TYPE_CHECKING:
    from talkingpose.model.reference_attention import ReferenceCache
    from talkingpose.pipeline.pipeline import TalkingPosePipeline

Frame = np.ndarray | torch.Tensor
# A sixth of the steps finds the latents to within a few per cent, of which the loop feeds back one in twenty.
_GUESS_SHARE = 1 / 6
OutputType = Literal["np", "pt", "latent"]


@dataclass(frozen=True)
class StreamSettings:
    """How frames are made; the fields are arguments of `TalkingPosePipeline.stream`.

    Raises:
        PipelineError: a setting cannot be.
    """

    num_inference_steps: int
    guidance: Guidance
    feedback: FeedbackController
    chunk_size: int
    parallel_frames: int
    parallel_tolerance: float
    output_type: OutputType

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
        """Denoising steps of the rough sweep that comes first where frames are made in parallel."""
        return max(1, round(self.num_inference_steps * _GUESS_SHARE))

    def window(self, num_clips: int) -> int:
        """Frames of each clip that are taken at once."""
        return max(1, self.parallel_frames, self.chunk_size // num_clips)

    def as_text(self) -> dict[str, str]:
        """What decides the frames, for `StreamState`; chunks are not among it."""
        feedback = self.feedback
        named = repr(feedback) if dataclasses.is_dataclass(feedback) else type(feedback).__qualname__
        return {
            "num_inference_steps": str(self.num_inference_steps),
            "guidance": repr(self.guidance),
            "feedback": named,
        }


class FrameStream(Iterator[Any]):
    """Yields the frames of one clip, or lists of frames of several clips in lockstep; see `stream`.

    Attributes:
        state: where the stream stands after the last frame it gave: what `stream(state=...)` goes on from.
            None before the first frame.
        running: positions of the clips whose frames the last item held.
    """

    def __init__(
        self,
        pipeline: TalkingPosePipeline,
        references: list[Picture],
        clips: list[Iterator[Picture]],
        batched: bool,
        settings: StreamSettings,
        start: StreamState | torch.Tensor | torch.Generator | Sequence[torch.Generator] | None,
    ) -> None:
        self._pipeline, self._settings, self._start = pipeline, settings, start
        self._references, self._clips, self._batched = references, clips, batched
        self.state: StreamState | None = None
        self.running: tuple[int, ...] = ()
        self._frames = self._generate()

    def __next__(self) -> Frame | list[Frame]:
        frames = next(self._frames)
        return frames if self._batched else frames[0]

    def close(self) -> None:
        """Take no more poses and let go of everything held for the video."""
        self._frames.close()

    @torch.no_grad()
    def _generate(self) -> Iterator[list[Frame]]:
        pipeline, settings = self._pipeline, self._settings
        # 1. The first pose pictures fix the size of the video.
        begun = self._start if isinstance(self._start, StreamState) else None
        steps = time_steps(self._clips, begun.index if begun else 0)
        first = next(steps, None)
        if first is None:  # nothing is left of a video that goes on from a state
            return
        height, width = first.pictures[0].shape[:2]

        # 2. The samplers, the portrait and the noise e, once per video.
        lengths = (settings.num_inference_steps, settings.guess_steps)
        samplers = [make_sampler(pipeline.scheduler, n, pipeline._execution_device) for n in lengths]
        portraits = [as_array(image, f"reference {n}") for n, image in enumerate(self._references)]
        marks = [_mark(portrait) for portrait in portraits]
        text = settings.as_text() | {"size": f"{width}x{height}"}
        if begun:
            if len(begun.feedback.noise) != len(portraits):
                raise PipelineError(
                    f"state: of {len(begun.feedback.noise)} clips, not of {len(portraits)}: "
                    "give the clips that still ran"
                )
            begun.check(text | {"portraits": " ".join(marks)})
        reference = pipeline.encode_reference(portraits, height, width)
        state = self._first_state(begun, height, width)
        running = tuple(range(len(portraits)))

        for window in windows(itertools.chain([first], steps), settings.window(len(running))):
            # 3. Clips that have come to their end leave the batch.
            if window[0].running != running:
                rows = [running.index(clip) for clip in window[0].running]
                state, reference, running = state.select(rows), reference.select(rows), window[0].running
            text["portraits"] = " ".join(marks[clip] for clip in running)

            # 4. The pose pictures of the window.
            pictures = [to_device(list(step.pictures), state.noise.device) for step in window]
            features = self._in_chunks(pipeline.encode_pose, torch.cat(pictures)).split(len(running))

            # 5. Feedback from frame to frame, and denoising.
            frames = [FrameContext(batch, reference.latents) for batch in pictures]
            solved = self._solve(
                state, frames, *(self._denoiser(sampler, features, reference) for sampler in samplers)
            )
            _check_finite(solved.finals, window, pipeline.denoising_unet.dtype)

            # 6. Decode.
            for step, images, state in zip(window, self._decode(solved.finals), solved.states, strict=True):
                self.state, self.running = StreamState(state, dict(text)), step.running
                yield images
        pipeline.maybe_free_model_hooks()

    def _first_state(self, begun: StreamState | None, height: int, width: int) -> FeedbackState:
        clips = len(self._references)
        if begun is None:
            start: Any = self._start
            latents, generator = (start, None) if isinstance(start, torch.Tensor) else (None, start)
            return FeedbackState(self._pipeline.prepare_noise(clips, height, width, generator, latents))
        return _to(begun.feedback, self._pipeline._execution_device)

    def _denoiser(
        self, sampler: Sampler, features: Sequence[torch.Tensor], reference: ReferenceCache
    ) -> Denoiser:
        """Denoise some frames of a window whose pose features are given."""

        def denoise_frames(initial: torch.Tensor, due: Sequence[int]) -> torch.Tensor:
            rows = list(range(reference.num_references)) * len(due)
            return denoise(
                self._pipeline.denoising_unet,
                sampler,
                self._settings.guidance,
                initial,
                torch.cat([features[number] for number in due]),
                reference if len(due) == 1 else reference.select(rows),
            )

        return denoise_frames

    def _solve(
        self, state: FeedbackState, frames: Sequence[FrameContext], denoiser: Denoiser, guess: Denoiser
    ) -> Solved:
        settings = self._settings
        if settings.parallel_frames == 1:
            return in_sequence(settings.feedback, state, frames, denoiser)
        return in_parallel(settings.feedback, state, frames, denoiser, guess, settings.parallel_tolerance)

    def _decode(self, finals: Sequence[torch.Tensor]) -> Iterator[list[Frame]]:
        """Yield the frames of each time step."""
        clips, kind = len(finals[0]), self._settings.output_type
        if kind == "latent":
            yield from (list(final.clone()) for final in finals)
            return
        frames: list[Frame] = []
        for chunk in torch.cat(list(finals)).split(max(self._settings.chunk_size, clips)):
            frames += self._pipeline.decode(chunk, kind)
            while len(frames) >= clips:
                yield frames[:clips]
                frames = frames[clips:]

    def _in_chunks(self, encode: Any, pictures: torch.Tensor) -> torch.Tensor:
        clips = len(self._clips)
        return torch.cat([encode(chunk) for chunk in pictures.split(max(self._settings.chunk_size, clips))])


def _check_finite(finals: Sequence[torch.Tensor], window: Sequence[TimeStep], dtype: torch.dtype) -> None:
    # One question for the whole window: each makes the host wait for the GPU.
    finite = torch.stack([torch.isfinite(final).all() for final in finals]).tolist()
    for step, good in zip(window, finite, strict=True):
        if not good:
            raise PipelineError(
                f"frame {step.index}: latents are not finite in {dtype}: use bfloat16 or float32"
            )


def _mark(portrait: np.ndarray) -> str:
    """A short name of a picture that another picture does not have."""
    return hashlib.sha256(repr(portrait.shape).encode() + portrait.tobytes()).hexdigest()[:16]


def _to(state: FeedbackState, device: torch.device) -> FeedbackState:
    previous = None if state.previous is None else state.previous.to(device)
    memory = {name: tensor.to(device) for name, tensor in state.memory.items()}
    return FeedbackState(state.noise.to(device), previous, state.index, memory)
