"""The sampler: from the initial latents of a frame to its final ones.

A step of DDIM without noise (Song et al., arXiv 2010.02502, equation 12 with eta 0) is a sum of the latents
and the output of the model, with two factors that depend on the step alone. They are computed once per video,
so that a step is one line of arithmetic and does not wait for a number from the GPU.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from talkingpose.model.reference_attention import ReferenceCache
from talkingpose.pipeline.inputs import PipelineError


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance on all steps or on an interval of them.

    Attributes:
        scale: 1 or less runs without, in about half the time.
        interval: first and last share of the steps that are guided, 0 <= first <= last <= 1. Guidance helps
            in the middle steps and harms at both ends (Kynkaanniemi et al., arXiv 2404.07724); steps outside
            the interval take about half the time.

    Raises:
        PipelineError: a setting is out of range.
    """

    scale: float
    interval: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        first, last = self.interval
        if not math.isfinite(self.scale):
            raise PipelineError(f"guidance_scale: {self.scale}: give a finite number")
        if not 0 <= first <= last <= 1:
            raise PipelineError(
                f"guidance_interval: {first}, {last}: give two shares, 0 <= first <= last <= 1"
            )

    def applies(self, step: int, num_steps: int) -> bool:
        """Return True if step 0, 1, ... of `num_steps` is guided."""
        first, last = (round(share * num_steps) for share in self.interval)
        return self.scale > 1 and first <= step < last


class Sampler(Protocol):
    """Steps from noise to latents; `timesteps` are on the device of the model."""

    @property
    def timesteps(self) -> torch.Tensor:
        """Timesteps, int64 (steps,)."""
        ...

    def step(self, number: int, latents: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return the latents after step `number`, from those before it and the output of the model."""
        ...


@dataclass(frozen=True)
class LinearSampler:
    """DDIM with eta 0: latents(i + 1) = keep[i] * latents(i) + move[i] * output(i).

    Attributes:
        timesteps: int64 (steps,).
        keep: factors of the latents.
        move: factors of the output.
    """

    timesteps: torch.Tensor
    keep: Sequence[float]
    move: Sequence[float]

    def step(self, number: int, latents: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return the latents after step `number`."""
        return latents * self.keep[number] + output * self.move[number]


class SchedulerSampler:
    """Sampler of any other scheduler of diffusers, by its own `step`."""

    def __init__(self, scheduler: Any, num_steps: int, device: torch.device) -> None:
        # A copy, because videos with different numbers of steps may run at the same time.
        self._scheduler = copy.deepcopy(scheduler)
        self._num_steps, self._device = num_steps, device
        self._restart()

    def step(self, number: int, latents: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return the latents after step `number`; step 0 starts a new frame."""
        if number == 0:
            self._restart()
        following: torch.Tensor = self._scheduler.step(
            output, self.timesteps[number], latents, return_dict=False
        )[0]
        return following

    def _restart(self) -> None:
        self._scheduler.set_timesteps(self._num_steps, device=self._device)
        self.timesteps: torch.Tensor = self._scheduler.timesteps


def make_sampler(scheduler: Any, num_steps: int, device: torch.device) -> Sampler:
    """Make the sampler of a scheduler.

    Args:
        scheduler: of diffusers; `DDIMScheduler` is the model's own.
        num_steps: denoising steps per frame.
        device: of the model.

    Raises:
        PipelineError: fewer than one step, or more than the model was trained on.
    """
    most = int(scheduler.config.num_train_timesteps)
    if not 1 <= num_steps <= most:
        raise PipelineError(f"num_inference_steps: {num_steps}: give 1 or more, up to {most}")
    config = scheduler.config
    if not isinstance(scheduler, DDIMScheduler) or config.clip_sample or config.thresholding:
        return SchedulerSampler(scheduler, num_steps, device)
    return _ddim(scheduler, num_steps, device)


def denoise(
    unet: UNet2DConditionModel,
    sampler: Sampler,
    guidance: Guidance,
    initial: torch.Tensor,
    feature: torch.Tensor,
    reference: ReferenceCache,
) -> torch.Tensor:
    """Denoise n frames that do not depend on each other.

    Args:
        unet: the denoising UNet with the attention processors and the pose input of the pipeline.
        sampler: from `make_sampler`.
        guidance: scale and interval.
        initial: z_T, float (n, C, h, w); the sampler computes in this type, whatever the type of the weights.
        feature: pose features (n, F, h, w), in the type of the weights.
        reference: of n portraits.

    Returns:
        z0, like `initial`: the final latents, scaled, not clamped.
    """
    latents, steps = initial, len(sampler.timesteps)
    for number, timestep in enumerate(sampler.timesteps):
        guided = guidance.applies(number, steps)
        sample = torch.cat([latents.to(feature.dtype), feature], dim=1)
        # The CLIP token is in `reference`, as constant rows of cross-attention.
        output = unet(
            torch.cat([sample, sample]) if guided else sample,
            timestep,
            encoder_hidden_states=None,
            cross_attention_kwargs={"reference": reference},
            return_dict=False,
        )[0].to(latents.dtype)
        if guided:
            unconditional, conditional = output.chunk(2)
            output = unconditional + guidance.scale * (conditional - unconditional)
        latents = sampler.step(number, latents, output)
    return latents


def _ddim(scheduler: DDIMScheduler, num_steps: int, device: torch.device) -> LinearSampler:
    plan = copy.deepcopy(scheduler)
    plan.set_timesteps(num_steps)
    stride = plan.config.num_train_timesteps // num_steps
    keep, move = [], []
    for timestep in plan.timesteps.tolist():
        before = timestep - stride
        alpha = float(plan.alphas_cumprod[timestep])
        next_alpha = float(plan.alphas_cumprod[before] if before >= 0 else plan.final_alpha_cumprod)
        a, b, factors = math.sqrt(alpha), math.sqrt(1 - alpha), []
        # Predictions of the clean latents and of the noise, each as factors of the latents and of the output.
        match plan.config.prediction_type:
            case "v_prediction":
                factors = [(a, -b), (b, a)]
            case "epsilon" if a > 0:
                factors = [(1 / a, -b / a), (0.0, 1.0)]
            case "sample" if b > 0:
                factors = [(0.0, 1.0), (1 / b, -a / b)]
            case kind:
                raise PipelineError(f"scheduler: prediction_type {kind} is not defined at step {timestep}")
        (clean_keep, clean_move), (noise_keep, noise_move) = factors
        weight, rest = math.sqrt(next_alpha), math.sqrt(1 - next_alpha)
        keep.append(weight * clean_keep + rest * noise_keep)
        move.append(weight * clean_move + rest * noise_move)
    return LinearSampler(plan.timesteps.to(device), tuple(keep), tuple(move))
