from __future__ import annotations

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from talkingpose.pipeline.feedback import FeedbackState, FixedGain, mix

gains = st.floats(0, 1, allow_nan=False)
seeds = st.integers(0, 2**31)


def pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    e, z = torch.randn(2, 3, 4, 5, 6, generator=generator, dtype=torch.float64)
    return e, z


@given(seeds, gains)
@settings(deadline=None)
def test_mix_is_the_paper_s_formula(seed, gain):
    e, z = pair(seed)
    torch.testing.assert_close(mix(e, z, gain), (1 - gain) * e + gain * z)
    assert torch.equal(mix(e, e, gain), e)
    assert torch.equal(mix(e, z, 0.0), e)


@given(seeds, gains, st.integers(1, 6))
@settings(deadline=None)
def test_the_first_frame_is_noise_and_the_noise_never_changes(seed, gain, frames):
    e, z = pair(seed)
    controller, state = FixedGain(gain), FeedbackState(e)
    assert torch.equal(controller.initial_latents(state), e)
    for number in range(1, frames + 1):
        latents = z * number
        state = state.after(latents)
        assert state.index == number and state.noise is e
        torch.testing.assert_close(controller.initial_latents(state), e + gain * (latents - e))


@given(seeds, st.lists(st.integers(0, 2), max_size=3, unique=True))
@settings(deadline=None)
def test_clips_do_not_mix(seed, clips):
    e, z = pair(seed)
    controller, state = FixedGain(0.3), FeedbackState(e).after(z)
    whole = controller.initial_latents(state)
    assert torch.equal(controller.initial_latents(state.select(clips)), whole[clips])


@pytest.mark.parametrize("frames", [0, 2])
def test_saved_and_restored(frames):
    e, z = pair(0)
    state = FeedbackState(e)
    for _ in range(frames):
        state = state.after(z)
    file = io.BytesIO()
    torch.save(state.state_dict(), file)
    file.seek(0)
    restored = FeedbackState.from_state_dict(torch.load(file, weights_only=True))
    assert restored.index == frames
    assert torch.equal(FixedGain().initial_latents(restored), FixedGain().initial_latents(state))


@pytest.mark.parametrize("gain", [float("nan"), float("inf")])
def test_a_gain_is_finite(gain):
    with pytest.raises(ValueError, match="gain"):
        FixedGain(gain)
