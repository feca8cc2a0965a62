"""Frames in parallel against frames in sequence, with a formula as sampler."""

from __future__ import annotations

import pytest
import torch

from talkingpose.pipeline.feedback import FeedbackState, FirstFrameAnchor, FixedGain, FrameContext, LowPass
from talkingpose.pipeline.frame_loop import in_parallel, in_sequence

FRAMES, CLIPS = 6, 2


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Sampler:
    """Return final latents as a contraction of the initial ones, different for each frame."""

    def __init__(self, strength: float = 0.5, error: float = 0.0) -> None:
        self.means = random(FRAMES, CLIPS, 3, 4, 4, seed=1)
        self.strength, self.error = strength, error
        self.swept: list[list[int]] = []

    def __call__(self, initial: torch.Tensor, due) -> torch.Tensor:
        self.swept.append(list(due))
        return torch.cat([self.means[k] for k in due]) + self.strength * torch.sin(initial) + self.error


def window():
    state = FeedbackState(random(CLIPS, 3, 4, 4, seed=2))
    context = FrameContext(torch.zeros(CLIPS, 8, 8, 3, dtype=torch.uint8), random(CLIPS, 3, 4, 4, seed=3))
    return state, [context] * FRAMES


@pytest.mark.parametrize("controller", [FixedGain(0.05), FixedGain(0.5), LowPass(0.3), FirstFrameAnchor(0.4)])
@pytest.mark.parametrize("later", [False, True])
def test_without_tolerance_the_frames_are_those_of_the_sequence(controller, later):
    state, frames = window()
    if later:  # a window in the middle of a video
        state = in_sequence(controller, state, frames, Sampler(0.4)).states[-1]
    expected = in_sequence(controller, state, frames, Sampler())
    solved = in_parallel(controller, state, frames, Sampler(), Sampler(error=0.1), 0.0)
    for a, b in zip(solved.finals, expected.finals, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    for a, b in zip(solved.states, expected.states, strict=True):
        assert a.index == b.index
        torch.testing.assert_close(a.previous, b.previous, rtol=0, atol=1e-12)
    assert solved.sweeps <= FRAMES


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4])
def test_the_error_is_below_the_tolerance_where_the_loop_contracts(tolerance):
    state, frames = window()
    expected = in_sequence(FixedGain(0.2), state, frames, Sampler())
    sampler = Sampler()
    solved = in_parallel(FixedGain(0.2), state, frames, sampler, Sampler(error=0.1), tolerance)
    errors = [(a - b).square().mean().sqrt() for a, b in zip(solved.finals, expected.finals, strict=True)]
    assert max(errors) < tolerance
    assert solved.sweeps == len(sampler.swept) < FRAMES


def test_a_sharper_tolerance_takes_more_sweeps_and_only_of_frames_that_need_them():
    state, frames = window()
    samplers = [Sampler(), Sampler()]
    loose, sharp = (
        in_parallel(FixedGain(0.2), state, frames, sampler, Sampler(error=0.1), tolerance)
        for sampler, tolerance in zip(samplers, (3e-2, 1e-7), strict=True)
    )
    assert loose.sweeps < sharp.sweeps
    assert samplers[1].swept[0] == list(range(FRAMES))
    # The first frame needs nobody, so its first result stands; each sweep settles at least one more.
    assert all(swept[0] >= number for number, swept in enumerate(samplers[1].swept))


def test_without_feedback_one_sweep_is_exact():
    state, frames = window()
    solved = in_parallel(FixedGain(0.0), state, frames, Sampler(), Sampler(error=1.0), 0.0)
    expected = in_sequence(FixedGain(0.0), state, frames, Sampler())
    assert solved.sweeps == 1
    assert all(torch.equal(a, b) for a, b in zip(solved.finals, expected.finals, strict=True))
