"""The loop over the frames of a window: one after another, or several at once.

Frame k needs the latents of frame k-1, but only as a small part of its noise: the sampler makes an error in
them many times smaller. Therefore the frames of a window can start from a guess of the frames before them and
be denoised as one batch; frames whose initial latents change are denoised again, from the result of the last
sweep. This is Picard iteration of the loop over frames, as ParaDiGMS (Shih et al., arXiv 2305.16317) does it
over the steps of the sampler. After n sweeps the first n frames are those of the sequential loop in any case.
The guess comes from a first sweep with few steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback import FeedbackController, FeedbackState, FrameContext

# Maps the initial latents of some frames of the window, (frames * clips, C, h, w), rows ordered by frame and
# then by clip, and the positions of these frames in the window, to final latents of the same shape.
Denoiser = Callable[[torch.Tensor, Sequence[int]], torch.Tensor]


@dataclass(frozen=True)
class Solved:
    """The frames of a window.

    Attributes:
        finals: per frame the latents to decode, float (clips, C, h, w).
        states: per frame the state of the loop after it.
        sweeps: passes of `denoise` over the window or a part of it.
    """

    finals: list[torch.Tensor]
    states: list[FeedbackState]
    sweeps: int


def in_sequence(
    controller: FeedbackController, state: FeedbackState, frames: Sequence[FrameContext], denoise: Denoiser
) -> Solved:
    """Make one frame after another, as in the paper; arguments as for `in_parallel`."""
    finals, states = [], []
    for number, frame in enumerate(frames):
        denoised = denoise(controller.initial_latents(state, frame), [number])
        final, memory = controller.finish(state, frame, denoised)
        state = state.after(final, memory)
        finals.append(final)
        states.append(state)
    return Solved(finals, states, len(frames))


def in_parallel(
    controller: FeedbackController,
    state: FeedbackState,
    frames: Sequence[FrameContext],
    denoise: Denoiser,
    guess: Denoiser,
    tolerance: float,
) -> Solved:
    """Sweep over the window until no frame's initial latents change by more than the tolerance.

    Args:
        controller: of the feedback.
        state: before the first frame.
        frames: context of each frame.
        denoise: computes the final latents of some frames at once.
        guess: the same with few steps.
        tolerance: root mean square of a change, in units of the noise. It bounds how far the initial latents
            are from consistent with the final ones; 0 sweeps until the sequential result is reached.
    """
    # The frame before the window is similar; before the first frame of a video there is only the portrait.
    near = frames[0].reference.to(state.noise) if state.previous is None else state.previous
    clips, everything = len(state.noise), list(range(len(frames)))
    initial, _, _ = _replay(controller, state, frames, [near] * len(frames))
    denoised = list(torch.split(guess(torch.cat(initial), everything), clips))
    used: list[torch.Tensor | None] = [None] * len(frames)
    sweeps = 0
    while True:
        initial, finals, states = _replay(controller, state, frames, denoised)
        due = [number for number in everything if _differs(initial[number], used[number], tolerance)]
        if not due:
            return Solved(finals, states, sweeps)
        results = torch.split(denoise(torch.cat([initial[number] for number in due]), due), clips)
        for number, result in zip(due, results, strict=True):
            denoised[number], used[number] = result, initial[number]
        sweeps += 1


def _replay(
    controller: FeedbackController,
    state: FeedbackState,
    frames: Sequence[FrameContext],
    denoised: Sequence[torch.Tensor],
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[FeedbackState]]:
    """Run the window as `in_sequence` does, with given results of the sampler."""
    initial, finals, states = [], [], []
    for frame, result in zip(frames, denoised, strict=True):
        initial.append(controller.initial_latents(state, frame))
        final, memory = controller.finish(state, frame, result)
        state = state.after(final, memory)
        finals.append(final)
        states.append(state)
    return initial, finals, states


def _differs(initial: torch.Tensor, used: torch.Tensor | None, tolerance: float) -> bool:
    """Return True if the initial latents of any clip differ from the used ones by more than the tolerance."""
    if used is None:
        return True
    change = (initial - used).square().mean(dim=(1, 2, 3)).sqrt().max()
    return bool(change > tolerance)
