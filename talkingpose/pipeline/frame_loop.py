"""The loop over the frames of a window: one after another, or several at once.

Frame k needs the latents of frame k-1, but only as a small part of its noise: a mistake in them comes out
of the sampler many times smaller. So the frames of a window can be begun with a guess of what comes before
them and denoised as one batch; then those whose initial latents turn out different are denoised again, from
what the last sweep gave. This is Picard's iteration of the loop over frames, as ParaDiGMS (Shih et al.,
arXiv 2305.16317) does over the steps of the sampler. After n sweeps the first n frames are those of the
sequential loop in any case. The guess comes from a first sweep with few steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from talkingpose.pipeline.feedback import FeedbackController, FeedbackState, FrameContext

# The initial latents of some frames of the window, (frames * clips, C, h, w), rows ordered by frame, then by
# clip, and the positions of these frames in the window, to final latents of the same shape.
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
    """Make frame after frame, as the paper's loop does; arguments as for `in_parallel`."""
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
        controller: the law of the loop.
        state: before the first frame.
        frames: what is known of each frame.
        denoise: makes the final latents of some frames at once.
        guess: the same, but quickly and roughly.
        tolerance: root mean square of a change, in units of the noise. It bounds how far the initial latents
            are from consistent with the final ones; 0 sweeps until the sequential result is reached.
    """
    # The frame before the window is near; before the first frame of a video there is only the portrait.
    near = frames[0].reference.to(state.noise) if state.previous is None else state.previous
    clips, everything = len(state.noise), list(range(len(frames)))
    initial, _, _ = _replay(controller, state, frames, [near] * len(frames))
    denoised = list(guess(torch.cat(initial), everything).split(clips))
    used: list[torch.Tensor | None] = [None] * len(frames)
    sweeps = 0
    while True:
        initial, finals, states = _replay(controller, state, frames, denoised)
        due = [number for number in everything if _differs(initial[number], used[number], tolerance)]
        if not due:
            return Solved(finals, states, sweeps)
        results = denoise(torch.cat([initial[number] for number in due]), due).split(clips)
        for number, result in zip(due, results, strict=True):
            denoised[number], used[number] = result, initial[number]
        sweeps += 1


def _replay(
    controller: FeedbackController,
    state: FeedbackState,
    frames: Sequence[FrameContext],
    denoised: Sequence[torch.Tensor],
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[FeedbackState]]:
    """Go through the window as `in_sequence` does, with these results of the sampler."""
    initial, finals, states = [], [], []
    for frame, result in zip(frames, denoised, strict=True):
        initial.append(controller.initial_latents(state, frame))
        final, memory = controller.finish(state, frame, result)
        state = state.after(final, memory)
        finals.append(final)
        states.append(state)
    return initial, finals, states


def _differs(initial: torch.Tensor, used: torch.Tensor | None, tolerance: float) -> bool:
    """Whether any clip's initial latents are further from the used ones than the tolerance."""
    if used is None:
        return True
    change = (initial - used).square().mean(dim=(1, 2, 3)).sqrt().max()
    return bool(change > tolerance)
