"""The arithmetic of the objective, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.training_utils import compute_snr
from hypothesis import given
from hypothesis import strategies as st

from talkingpose.training.config import OptimizerConfig
from talkingpose.training.loop import learning_rate
from talkingpose.training.stages import loss

SCHEDULES = ("scaled_linear", "linear")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_last_timestep_has_no_signal_and_the_first_nearly_all(schedule: str) -> None:
    alphas = loss.make_scheduler(schedule).alphas_cumprod
    assert alphas[-1] == 0
    assert alphas[0] > 0.999
    assert (alphas.diff() < 0).all()


def test_betas_are_those_of_the_reference() -> None:
    """Rescaled so that the last sqrt(alpha_bar) is 0 and the first stays (2305.08891, algorithm 1)."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    root = (1 - betas).cumprod(0).sqrt()
    rescaled = (root - root[-1]) * root[0] / (root[0] - root[-1])
    alphas = loss.make_scheduler("scaled_linear").alphas_cumprod
    assert torch.allclose(alphas.double(), rescaled**2, atol=2e-6)


@given(st.lists(st.integers(0, 998), min_size=1, max_size=8), st.floats(1.0, 20.0))
def test_min_snr_weight_is_that_of_the_snr(steps: list[int], gamma: float) -> None:
    scheduler, timesteps = loss.make_scheduler("scaled_linear"), torch.tensor(steps)
    snr = compute_snr(scheduler, timesteps).double()
    expected = (snr + 1).clamp(max=gamma) / (snr + 1)
    weights = loss.min_snr_weights(scheduler.alphas_cumprod, timesteps, gamma)
    assert torch.allclose(weights.double(), expected, rtol=2e-3, atol=1e-6)


def test_pure_noise_has_full_weight() -> None:
    alphas = loss.make_scheduler("scaled_linear").alphas_cumprod
    assert loss.min_snr_weights(alphas, torch.tensor([999]), 5.0).item() == 1.0


@given(st.integers(0, 999))
def test_latents_and_noise_follow_from_sample_and_velocity(step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    latents, noise = torch.randn(2, 1, 4, 3, 3, generator=generator, dtype=torch.float64)
    alphas = loss.make_scheduler("scaled_linear").alphas_cumprod.double()
    levels = loss.noise_levels(alphas, torch.tensor([step]))
    noisy, velocity = loss.add_noise(latents, noise, levels), loss.velocity(latents, noise, levels)
    assert torch.allclose(levels[0] * noisy - levels[1] * velocity, latents)
    assert torch.allclose(levels[1] * noisy + levels[0] * velocity, noise)


def test_velocity_is_that_of_the_sampler() -> None:
    scheduler = loss.make_scheduler("linear")
    latents, noise = torch.randn(2, 3, 4, 2, 2)
    timesteps = torch.tensor([0, 500, 999])
    levels = loss.noise_levels(scheduler.alphas_cumprod, timesteps)
    assert torch.allclose(
        loss.add_noise(latents, noise, levels), scheduler.add_noise(latents, noise, timesteps), atol=1e-6
    )
    assert torch.allclose(
        loss.velocity(latents, noise, levels), scheduler.get_velocity(latents, noise, timesteps), atol=1e-6
    )


def test_regions_are_weighted() -> None:
    prediction, target = torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0, 2.0]], [[1.0, 2.0]]]])
    region = torch.tensor([[[[3.0, 1.0]]]])
    value = loss.denoising_loss(prediction, target, torch.tensor([0.5]), region)
    assert value.item() == pytest.approx(0.5 * (3 * 1 + 1 * 4) / 4)


def test_offset_noise_moves_whole_channels() -> None:
    noise = loss.offset_noise(torch.zeros(64, 4, 5, 5), 0.05, torch.Generator().manual_seed(0))
    assert torch.equal(noise.amax((2, 3)), noise.amin((2, 3)))
    assert noise[:, :, 0, 0].std().item() == pytest.approx(0.05, rel=0.15)


def test_kl_of_a_standard_normal_is_zero() -> None:
    zeros = torch.zeros(1, 4, 2, 2)
    assert loss.kl_per_value(zeros, zeros).item() == 0
    assert loss.kl_per_value(zeros + 1, zeros).item() == pytest.approx(0.5)


def test_perfect_reconstruction_costs_nothing_and_edges_cost_more() -> None:
    target = torch.full((1, 3, 8, 8), -1.0)
    target[..., 4:] = 1
    region = torch.ones(1, 1, 8, 8)
    assert loss.reconstruction_loss(target, target, region, 4.0, 1.0).item() == 0
    flat, edge = target.clone(), target.clone()
    flat[..., 0, 0], edge[..., 4, 4] = -0.5, 0.5
    losses = [loss.reconstruction_loss(x, target, region, 4.0, 0.0).item() for x in (flat, edge)]
    assert losses[1] > 3 * losses[0] > 0


def test_psnr_of_a_known_error() -> None:
    a = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    assert loss.psnr(a, a + 51).item() == pytest.approx(20 * np.log10(5), abs=1e-4)
    assert loss.psnr(a, a).item() == pytest.approx(100)


def test_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    options = OptimizerConfig(learning_rate=1.0, warmup_steps=10, decay="cosine", final=0.1)
    rates = [learning_rate(options, step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
