"""Stage denoiser: training of both UNets, pose guider and image encoder as one model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn
from torch.nn import functional as F
from transformers import CLIPImageProcessor

from talkingpose.model.inference_settings import InferenceSettings
from talkingpose.model.pose_guider import install_pose_input
from talkingpose.model.reference_attention import (
    install_reference_reader,
    install_reference_writer,
    project_reference,
    write_bank,
)
from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline
from talkingpose.training.config import TrainConfig
from talkingpose.training.data.samples import Sample, Samples, validation_samples
from talkingpose.training.models import vae_factor
from talkingpose.training.parameters import freeze, frozen_parts, stored_copy
from talkingpose.training.sheets import save_sheet
from talkingpose.training.stages import loss

# Number of groups of a pool that are encoded together, on the CPU and on a GPU. With one at a time the
# latents do not depend on the other missing groups, so that on a CPU a resumed training is bit-identical.
_ENCODED_AT_ONCE = (1, 32)


class DenoiserModel(nn.Module):
    """Jointly trained parts with one forward pass.

    Args:
        parts: `unet`, `reference_unet`, `pose_guider`, `image_encoder`.
    """

    def __init__(self, parts: dict[str, Any]) -> None:
        super().__init__()
        install_reference_writer(parts["reference_unet"])
        install_reference_reader(parts["unet"])
        install_pose_input(parts["unet"])
        self.denoising_unet: Any = parts["unet"]
        self.reference_unet: Any = parts["reference_unet"]
        self.pose_guider: Any = parts["pose_guider"]
        self.image_encoder: Any = parts["image_encoder"]

    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        pose: torch.Tensor,
        portraits: torch.Tensor,
        pixels: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict v, (n, C, h, w).

        Args:
            noisy: latents (n, C, h, w).
            timesteps: (n,).
            pose: pictures (n, 3, S, S) in [0, 1].
            portraits: latents (k, C, h, w) of the portraits.
            pixels: the same portraits for the image encoder, (k, 3, s, s).
            rows: for each of the last rows of `noisy` the position of its portrait, int64; the rows before
                have none. None: the last k rows have one each.
        """
        token = self.image_encoder(pixels).image_embeds[:, None]
        bank = write_bank(self.reference_unet, portraits, token)
        reference = project_reference(self.denoising_unet, bank, token)
        if rows is not None:
            reference = reference.select(rows)
        sample = torch.cat([noisy, self.pose_guider(pose).to(noisy.dtype)], dim=1)
        prediction: torch.Tensor = self.denoising_unet(
            sample,
            timesteps,
            encoder_hidden_states=None,
            cross_attention_kwargs={"reference": reference},
            return_dict=False,
        )[0]
        return prediction


@torch.no_grad()
def start_as_identity(unet: UNet2DConditionModel) -> None:
    """Set the last layer of every branch of a random UNet to zero, so that it starts as the identity.

    As in guided-diffusion (Dhariwal & Nichol, arXiv 2105.05233, `zero_module`) and in the training of Stable
    Diffusion; the classes of diffusers start with random branches, because they are made to load weights.
    """
    lasts: list[Any] = [unet.conv_out]
    for module in unet.modules():
        if isinstance(module, ResnetBlock2D):
            lasts.append(module.conv2)
        elif isinstance(module, Transformer2DModel):
            lasts.append(module.proj_out)
    for last in lasts:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)


class DenoiserTask:
    """Stage `denoiser` of the training; see `talkingpose.training.loop.Task`."""

    def __init__(self, config: TrainConfig, parts: dict[str, Any], device: torch.device) -> None:
        self._config, self._device = config, device
        self._vae = parts["vae"].to(device).eval()
        self.scheduler = loss.make_scheduler(config.diffusion.beta_schedule)
        self.model = self.make_model(parts).train()
        for name in ("unet", "reference_unet"):
            origin = getattr(config.model, name) or config.model.unet
            if origin is not None and origin.config is not None:
                start_as_identity(parts[name])
        freeze(self.model, frozen_parts(config))
        if config.gradient_checkpointing:
            self.model.denoising_unet.enable_gradient_checkpointing()
            self.model.reference_unet.enable_gradient_checkpointing()
        side = parts["image_encoder"].config.image_size
        self._side = side
        self._processor = CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        )
        self._alphas = self.scheduler.alphas_cumprod.to(device)
        self._latent_side = config.size // vae_factor(self._vae.config)
        self._validation = validation_samples(config, self._latent_side)
        self._latents: torch.Tensor | None = None
        self._encoded = torch.zeros(0, dtype=torch.bool)

    def make_model(self, parts: dict[str, Any]) -> DenoiserModel:
        """Make the model in training; the autoencoder is no part of it."""
        self._vae.requires_grad_(False)
        return DenoiserModel(parts)

    def weight_map(self) -> tuple[int, tuple[float, float]]:
        """Return the side of the weight map of a sample, and the weights of faces and hands."""
        diffusion = self._config.diffusion
        return self._latent_side, (diffusion.face_weight, diffusion.hand_weight)

    def loss(
        self,
        model: Callable[..., torch.Tensor],
        batch: Sample,
        samples: Samples,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return the loss of one micro-batch."""
        diffusion, device = self._config.diffusion, self._device
        count = len(batch["pair"])
        # Samples without their condition come first, as the attention processors expect. The order of a batch
        # is random already; the number of these samples is rounded up or down at random.
        dropped = int(count * diffusion.condition_dropout + float(torch.rand((), generator=generator)))
        shown, rows = self.portraits(batch)

        target = self._encode(batch, "target", "frame", samples, generator)
        portraits = self._encode(shown, "reference", "portrait", samples, generator)
        noise = torch.randn(target.shape, generator=generator).to(device)
        noise = loss.offset_noise(noise, diffusion.noise_offset, generator)
        timesteps = torch.randint(0, len(self._alphas), (count,), generator=generator).to(device)
        levels = loss.noise_levels(self._alphas, timesteps)
        prediction = model(
            loss.add_noise(target, noise, levels),
            timesteps,
            batch["pose"].to(device).float() / 255,
            portraits,
            self.clip_pixels(shown["reference"].to(device)),
            rows[dropped:].to(device),
        )
        return loss.denoising_loss(
            prediction,
            loss.velocity(target, noise, levels),
            loss.min_snr_weights(self._alphas, timesteps, diffusion.min_snr_gamma),
            batch["weight"].to(device),
        )

    def figures(self) -> dict[str, float]:
        """Return further columns of the log: none."""
        return {}

    def portraits(self, batch: Sample) -> tuple[Sample, torch.Tensor]:
        """Return the portraits of a batch, each once, and the position of each sample's portrait.

        Samples with the same portrait share one pass of the reference UNet.
        """
        _, rows = torch.unique(batch["pair"], return_inverse=True)
        first = torch.tensor([int((rows == row).nonzero()[0]) for row in range(int(rows.max()) + 1)])
        return {name: batch[name][first] for name in ("reference", "group", "portrait")}, rows

    def clip_pixels(self, pictures: torch.Tensor) -> torch.Tensor:
        """Convert portraits uint8 (k, 3, S, S) as the pipeline does for the image encoder, (k, 3, s, s)."""
        shape = (self._side, self._side)
        pixels = F.interpolate(pictures.float() / 255, shape, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (
            pixels.new_tensor(v).view(3, 1, 1)
            for v in (self._processor.image_mean, self._processor.image_std)
        )
        return ((pixels - mean) / std).half().float()

    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """Write the sheet of the fixed validation pairs and return their mean PSNR in dB."""
        return self.scores(self.generate_validation(step, folder))

    def generate_validation(self, step: int, folder: Path) -> torch.Tensor:
        """Write the sheet of the fixed validation pairs and return its pictures, uint8 (n, 3, S, S)."""
        self.model.eval()
        batch = self._validation
        arrays = {name: batch[name].permute(0, 2, 3, 1).numpy() for name in ("reference", "pose", "target")}
        count = len(arrays["reference"])
        stream = self.pipeline().stream(
            list(arrays["reference"]),
            [[pose] for pose in arrays["pose"]],
            num_inference_steps=self._config.validation.inference_steps,
            guidance_scale=self._config.validation.guidance_scale,
            gain=0.0,
            generator=[torch.Generator().manual_seed(number) for number in range(count)],
        )
        generated = np.stack(next(stream))
        self.model.train()
        rows = [*arrays.values(), generated]
        save_sheet(folder / f"step-{step:06d}.png", [row[:8] for row in rows])
        return torch.from_numpy(generated).permute(0, 3, 1, 2)

    def scores(self, generated: torch.Tensor) -> dict[str, float]:
        """Return the mean PSNR of the validation pictures, and of copies of the portraits."""
        batch = self._validation
        return {
            "psnr": float(loss.psnr(generated, batch["target"]).mean()),
            "psnr_of_reference": float(loss.psnr(batch["reference"], batch["target"]).mean()),
        }

    def pipeline(self) -> TalkingPosePipeline:
        """Return the modules in training as a pipeline; they are shared, not copied."""
        model = self.model
        pipeline = TalkingPosePipeline(
            vae=self._vae,
            image_encoder=model.image_encoder,
            image_processor=self._processor,
            reference_unet=model.reference_unet,
            denoising_unet=model.denoising_unet,
            pose_guider=model.pose_guider,
            scheduler=self.scheduler,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def save(self, folder: Path, dtype: torch.dtype, samples: Samples) -> None:
        """Write the current weights in the diffusers layout, and their inference settings."""
        parts: dict[str, Any] = {
            name: stored_copy(part, dtype) if isinstance(part, nn.Module) else part
            for name, part in self.pipeline().components.items()
        }
        TalkingPosePipeline(**parts).save_pretrained(folder)
        validation = self._config.validation
        InferenceSettings(
            num_inference_steps=validation.inference_steps,
            guidance_scale=validation.guidance_scale,
            pose_picture="proportional",
        ).write(folder)

    def _encode(
        self, batch: Sample, picture: str, position: str, samples: Samples, generator: torch.Generator
    ) -> torch.Tensor:
        """Return the scaled latents of the pictures; those of a pool are computed once."""
        if samples.pool is None:
            drawn = generator if self._config.diffusion.sample_latents else None
            return self._latents_of(batch[picture].to(self._device), drawn)
        pool = self._config.pool
        assert pool is not None
        if self._latents is None:
            shape = (self._vae.config.latent_channels, *(self._latent_side,) * 2)
            self._latents = torch.zeros(pool.groups, pool.frames, *shape, device=self._device)
            self._encoded = torch.zeros(pool.groups, dtype=torch.bool)
        missing = [index for index in torch.unique(batch["group"]).tolist() if not self._encoded[index]]
        at_once = _ENCODED_AT_ONCE[self._device.type != "cpu"]
        for part in (missing[i : i + at_once] for i in range(0, len(missing), at_once)):
            images = np.concatenate([samples.group(index).images for index in part])
            latents = self._latents_of(torch.from_numpy(images).permute(0, 3, 1, 2).to(self._device))
            self._latents[part] = torch.unflatten(latents, 0, (len(part), pool.frames))
            self._encoded[part] = True
        return self._latents[batch["group"].to(self._device), batch[position].to(self._device)]

    @torch.no_grad()
    def _latents_of(self, pictures: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        posterior = self._vae.encode(pictures.float() / 127.5 - 1).latent_dist
        latents = posterior.mean
        if generator is not None:
            noise = torch.randn(latents.shape, generator=generator).to(latents.device)
            latents = latents + posterior.std * noise
        scaled: torch.Tensor = latents.float() * self._vae.config.scaling_factor
        return scaled
