"""Objectives of the training, as functions of tensors."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler
from torch.nn import functional as F


def make_scheduler(beta_schedule: str) -> DDIMScheduler:
    """Make the sampler of the model with its noise levels: zero terminal SNR, v-prediction.

    The reference trains on scaled_linear betas, rescaled as in Lin et al., arXiv 2305.08891.
    """
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule=beta_schedule,
        clip_sample=False,
        steps_offset=1,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )


def noise_levels(alphas_cumprod: torch.Tensor, timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sqrt(alpha_bar) and sqrt(1 - alpha_bar) of the timesteps (n,), each (n, 1, 1, 1)."""
    alpha_bar = alphas_cumprod.to(timesteps.device)[timesteps].view(-1, 1, 1, 1)
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def add_noise(
    latents: torch.Tensor, noise: torch.Tensor, levels: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Return the latents at a noise level."""
    return levels[0] * latents + levels[1] * noise


def velocity(
    latents: torch.Tensor, noise: torch.Tensor, levels: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Return the target of v-prediction (Salimans and Ho, arXiv 2202.00512)."""
    return levels[0] * noise - levels[1] * latents


def min_snr_weights(alphas_cumprod: torch.Tensor, timesteps: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return the weight of the squared v error per timestep (n,): min(SNR + 1, gamma) / (SNR + 1).

    Min-SNR (Hang et al., arXiv 2303.09556) as the reference computes it (train.py): the 1 is inside the
    minimum too, so that the last timestep, of SNR 0, has weight 1 and not 0. The formula avoids the SNR,
    because SNR + 1 = 1 / (1 - alpha_bar) is infinite where the weight is 0.
    """
    alpha_bar = alphas_cumprod.to(timesteps.device)[timesteps]
    return (gamma * (1 - alpha_bar)).clamp(max=1.0)


def offset_noise(noise: torch.Tensor, strength: float, generator: torch.Generator | None) -> torch.Tensor:
    """Add one Gaussian number per channel to the noise, so that the model learns the mean of a picture."""
    shape = (*noise.shape[:2], 1, 1)
    return noise + strength * torch.randn(shape, generator=generator, dtype=noise.dtype).to(noise.device)


def denoising_loss(
    prediction: torch.Tensor, target: torch.Tensor, snr_weights: torch.Tensor, region: torch.Tensor
) -> torch.Tensor:
    """Return the weighted mean squared error.

    Args:
        prediction, target: (n, C, h, w).
        snr_weights: (n,).
        region: weight of each position, (n, 1, h, w); only its proportions matter.
    """
    error = (prediction.float() - target.float()).square().mean(dim=1, keepdim=True)
    return (error * region * snr_weights.view(-1, 1, 1, 1)).sum() / region.sum()


def gradients(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the differences of neighbouring pixels along x and y, of (n, C, H, W)."""
    return picture[..., :, 1:] - picture[..., :, :-1], picture[..., 1:, :] - picture[..., :-1, :]


def edge_map(picture: torch.Tensor) -> torch.Tensor:
    """Return the strength of the edges of (n, 3, H, W) in [-1, 1], as (n, 1, H, W) in [0, 1]."""
    along_x, along_y = gradients(picture)
    strength = F.pad(along_x, (0, 1)).abs() + F.pad(along_y, (0, 0, 0, 1)).abs()
    # Anti-aliased edges are two to three pixels wide.
    strength = F.max_pool2d(strength.mean(dim=1, keepdim=True), 3, stride=1, padding=1)
    return (4 * strength).clamp(max=1.0)


def reconstruction_loss(
    output: torch.Tensor,
    target: torch.Tensor,
    region: torch.Tensor,
    edge_weight: float,
    gradient_weight: float,
) -> torch.Tensor:
    """Return the L1 with more weight on edges and regions, plus the L1 of the gradients with these weights.

    Args:
        output, target: (n, 3, H, W) in [-1, 1].
        region: (n, 1, H, W).
    """
    weight = region * (1 + edge_weight * edge_map(target))
    loss = ((output - target).abs() * weight).mean() / weight.mean()
    for mine, theirs, near in zip(gradients(output), gradients(target), gradients(weight), strict=True):
        shaped = weight[..., : near.shape[-2], : near.shape[-1]]
        loss = loss + gradient_weight * ((mine - theirs).abs() * shaped).mean() / weight.mean()
    return loss


def kl_per_value(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Return the mean KL divergence of N(mean, exp(logvar)) from N(0, 1) per latent value."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()


def psnr(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the PSNR in dB per picture, (n,), of two uint8 batches (n, 3, H, W); at most 100."""
    error = (a.float() - b.float()).square().flatten(1).mean(dim=1)
    return (10 * torch.log10(255**2 / error.clamp(min=255**2 * 1e-10))).cpu()
