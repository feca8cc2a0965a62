"""Stage perceptual: both UNets and the decoder, end to end on the pictures that the sampler makes.

The loss of the denoiser compares latents, one noise level at a time. Here the pictures of the sampler of
inference are compared with the real ones. Only the last step has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from talkingpose.model.reference_attention import project_reference, write_bank
from talkingpose.pipeline.ddim import Sampler, make_sampler
from talkingpose.training.config import TrainConfig
from talkingpose.training.data.samples import Sample, Samples
from talkingpose.training.stages import loss
from talkingpose.training.stages.denoiser import DenoiserModel, DenoiserTask
from talkingpose.training.stages.picture_loss import PictureLoss, mean_figures


class PerceptualModel(DenoiserModel):
    """All parts with one forward pass from noise to pictures. The encoder of the autoencoder is frozen.

    Args:
        parts: `unet`, `reference_unet`, `pose_guider`, `image_encoder`, `vae`.
        sampler: of inference.
    """

    def __init__(self, parts: dict[str, Any], sampler: Sampler) -> None:
        super().__init__(parts)
        self.vae: Any = parts["vae"]
        self._sampler = sampler

    def forward(  # type: ignore[override]
        self,
        noise: torch.Tensor,
        pose: torch.Tensor,
        portraits: torch.Tensor,
        pixels: torch.Tensor,
        rows: torch.Tensor,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return pictures (n, 3, S, S) in [-1, 1], their latents (n, C, h, w), and v of `noisy`.

        Args:
            noise: initial latents (n, C, h, w).
            pose: pictures (n, 3, S, S) in [0, 1].
            portraits: latents (k, C, h, w) of the portraits.
            pixels: the same portraits for the image encoder, (k, 3, s, s).
            rows: position of the portrait of each sample, int64 (n,).
            noisy: noisy latents (m, C, h, w) of the first m samples.
            timesteps: their noise levels, int64 (m,).
        """
        unet, sampler, count = self.denoising_unet, self._sampler, len(noisy)
        token = self.image_encoder(pixels).image_embeds[:, None]
        reference = project_reference(unet, write_bank(self.reference_unet, portraits, token), token)
        feature = self.pose_guider(pose).to(noise.dtype)
        latents, last = noise, len(sampler.timesteps) - 1
        with torch.no_grad():
            shared = reference.select(rows)
            for number in range(last):
                sample = torch.cat([latents, feature], dim=1)
                output = _predict(unet, sample, sampler.timesteps[number], shared)
                latents = sampler.step(number, latents, output.to(latents.dtype))
        sample = torch.cat([torch.cat([latents, noisy]), torch.cat([feature, feature[:count]])], dim=1)
        levels = torch.cat([sampler.timesteps[last].expand(len(latents)), timesteps])
        output = _predict(unet, sample, levels, reference.select(torch.cat([rows, rows[:count]])))
        output = output.to(latents.dtype)
        final = sampler.step(last, latents, output[: len(latents)])
        pictures: torch.Tensor = self.vae.decode(final / self.vae.config.scaling_factor).sample
        return pictures, final, output[len(latents) :]


class PerceptualTask(DenoiserTask):
    """Stage `perceptual` of the training; see `talkingpose.training.loop.Task`."""

    model: PerceptualModel

    def __init__(self, config: TrainConfig, parts: dict[str, Any], device: torch.device) -> None:
        super().__init__(config, parts, device)
        self._picture_loss = PictureLoss(config, device)
        self._figures: list[dict[str, float]] = []

    def make_model(self, parts: dict[str, Any]) -> PerceptualModel:
        """Make the model, with everything of the autoencoder behind the latents in training."""
        sampler = make_sampler(self.scheduler, self._config.sampling.steps, self._device)
        model = PerceptualModel(parts, sampler)
        if self._config.gradient_checkpointing:
            model.vae.enable_gradient_checkpointing()
        return model

    def weight_map(self) -> tuple[int, tuple[float, float]]:
        """Return the side of the weight map of a sample, and the weights of faces and hands."""
        return self._config.size, (self._config.autoencoder.face_weight, self._config.autoencoder.hand_weight)

    def loss(
        self, model: Callable[..., Any], batch: Sample, samples: Samples, generator: torch.Generator
    ) -> torch.Tensor:
        """Return the loss of one micro-batch."""
        options, device = self._config.sampling, self._device
        count = len(batch["pair"])
        shown, rows = self.portraits(batch)
        target = self._encode(batch, "target", "frame", samples, generator)
        portraits = self._encode(shown, "reference", "portrait", samples, generator)
        noise = torch.randn(target.shape, generator=generator).to(device)
        # The order of a batch is random, except that samples of one portrait are neighbours.
        size = int(count * options.v_share + float(torch.rand((), generator=generator)))
        other = torch.randn(target[:size].shape, generator=generator).to(device)
        timesteps = torch.randint(0, len(self._alphas), (size,), generator=generator)
        at_last = torch.rand(size, generator=generator) < options.last_timestep_share
        timesteps = timesteps.masked_fill(at_last, len(self._alphas) - 1).to(device)
        order = torch.randperm(count, generator=generator)
        batch = {name: value[order] for name, value in batch.items()}
        target, rows = target[order.to(device)], rows[order].to(device)
        levels = loss.noise_levels(self._alphas, timesteps)
        pictures, latents, predicted = (
            part.float()
            for part in model(
                noise,
                batch["pose"].to(device).float() / 255,
                portraits,
                self.clip_pixels(shown["reference"].to(device)),
                rows,
                loss.add_noise(target[:size], other, levels),
                timesteps,
            )
        )
        real = batch["target"].to(device).float() / 127.5 - 1
        weight = batch["weight"].to(device)
        with torch.autocast(device.type, enabled=False):
            total, figures = self._picture_loss(pictures, real, weight, batch["keypoints"], generator)
        self._figures.append(figures)
        near = F.mse_loss(latents, target)
        if size:
            near = near + F.mse_loss(predicted, loss.velocity(target[:size], other, levels))
        return total + options.latent_weight * near

    def figures(self) -> dict[str, float]:
        """Return the means of the figures since the last call."""
        return mean_figures(self._figures)

    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """Write the sheet of the fixed validation pairs and return their PSNR and LPIPS."""
        generated = self.generate_validation(step, folder)
        batch = self._validation
        return self.scores(generated) | self._picture_loss.figures(
            generated, batch["target"], batch["keypoints"]
        )


def _predict(unet: Any, sample: torch.Tensor, timesteps: torch.Tensor, reference: Any) -> torch.Tensor:
    prediction: torch.Tensor = unet(
        sample,
        timesteps,
        encoder_hidden_states=None,
        cross_attention_kwargs={"reference": reference},
        return_dict=False,
    )[0]
    return prediction
