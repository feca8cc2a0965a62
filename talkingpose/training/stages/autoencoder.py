"""Stage vae: training of the autoencoder on single frames."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn

from talkingpose.training.config import TrainConfig
from talkingpose.training.data.samples import Sample, Samples, validation_samples
from talkingpose.training.parameters import freeze, stored_copy
from talkingpose.training.sheets import save_sheet
from talkingpose.training.stages import loss
from talkingpose.training.stages.picture_loss import PictureLoss, mean_figures

# Logarithm of the variance of the posterior at the start of a random autoencoder.
_INITIAL_LOGVAR = -6.0

# Number of frames for the statistics of the latents.
_STATISTICS_FRAMES = 256


class AutoencoderModel(nn.Module):
    """Encoder, sample of the posterior, and decoder in one forward pass."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae: Any = vae

    def forward(
        self, pictures: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Map pictures (n, 3, S, S) in [-1, 1] and noise (n, C, h, w) to reconstruction, mean and logvar."""
        posterior = self.vae.encode(pictures).latent_dist
        latents = posterior.mean + posterior.std * noise
        return self.vae.decode(latents).sample, posterior.mean, posterior.logvar


class AutoencoderTask:
    """Stage `vae` of the training; see `talkingpose.training.loop.Task`."""

    def __init__(self, config: TrainConfig, parts: dict[str, Any], device: torch.device) -> None:
        self._config, self._device = config, device
        self.model = AutoencoderModel(parts["vae"]).train()
        if config.model.vae.config is not None:
            start_as_pyramid(self.model.vae)
        if config.gradient_checkpointing:
            self.model.vae.enable_gradient_checkpointing()
        freeze(self.model, config.model.freeze)
        options = config.picture
        self._picture_loss = PictureLoss(config, device) if options.is_used else None
        self._figures: list[dict[str, float]] = []
        self._validation = validation_samples(config, config.size)

    def weight_map(self) -> tuple[int, tuple[float, float]]:
        """Return the side of the weight map of a sample, and the weights of faces and hands."""
        return self._config.size, (self._config.autoencoder.face_weight, self._config.autoencoder.hand_weight)

    def loss(
        self,
        model: Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
        batch: Sample,
        samples: Samples,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Return the loss of one micro-batch."""
        options = self._config.autoencoder
        pictures = batch["target"].to(self._device).float() / 127.5 - 1
        vae = self.model.vae.config
        side = self._config.size // 2 ** (len(vae.block_out_channels) - 1)
        shape = (len(pictures), vae.latent_channels, side, side)
        noise = torch.randn(shape, generator=generator).to(self._device)
        output, mean, logvar = (part.float() for part in model(pictures, noise))
        region = batch["weight"].to(self._device)
        if self._picture_loss is None:
            distance = loss.reconstruction_loss(
                output, pictures, region, options.edge_weight, options.gradient_weight
            )
        else:
            with torch.autocast(self._device.type, enabled=False):
                distance, figures = self._picture_loss(
                    output, pictures, region, batch["keypoints"], generator
                )
            self._figures.append(figures)
        return distance + options.kl_weight * loss.kl_per_value(mean, logvar)

    def figures(self) -> dict[str, float]:
        """Return the means of LPIPS since the last call; nothing where it is no part of the loss."""
        return mean_figures(self._figures)

    @torch.no_grad()
    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """Write the sheet of the fixed validation frames and return their PSNR and, if trained, LPIPS."""
        self.model.eval()
        target = self._validation["target"]
        posterior = self.model.vae.encode(target.to(self._device).float() / 127.5 - 1).latent_dist
        output = self.model.vae.decode(posterior.mean).sample.cpu()
        self.model.train()
        decoded = ((output / 2 + 0.5).clamp(0, 1) * 255).to(torch.uint8)
        difference = (4 * (decoded.int() - target.int()).abs()).clamp(max=255).to(torch.uint8)
        rows = [part.permute(0, 2, 3, 1).numpy()[:8] for part in (target, decoded, difference)]
        save_sheet(folder / f"step-{step:06d}.png", rows)
        noise_share = posterior.std.mean() / posterior.mean.std()
        scores = {"psnr": float(loss.psnr(decoded, target).mean()), "noise_share": float(noise_share)}
        if self._picture_loss is not None:
            scores |= self._picture_loss.figures(decoded, target, self._validation["keypoints"])
        return scores

    def save(self, folder: Path, dtype: torch.dtype, samples: Samples) -> None:
        """Write the current autoencoder to `folder/vae`.

        Latents are standardised, unless a part of the encoder is frozen: UNets may know these latents.
        """
        vae = copy.deepcopy(self.model.vae).eval()
        before = [p for n, p in vae.named_parameters() if n.startswith(("encoder.", "quant_conv."))]
        if all(parameter.requires_grad for parameter in before):
            pictures = (samples[number]["target"] for number in range(_STATISTICS_FRAMES))
            standardise(vae, pictures, self._device)
        stored: Any = stored_copy(vae, dtype)
        stored.save_pretrained(folder / "vae")


@torch.no_grad()
def start_as_pyramid(vae: AutoencoderKL) -> None:
    """Give a random autoencoder weights that preserve the picture.

    With the random weights of torch every convolution outside the residual branches removes 40 % of the
    signal, the branches mask the rest, and the posterior is mostly noise. Here branches start at zero,
    halving is a Haar transform, doubling repeats pixels, the other layers keep lengths, and the posterior has
    a small variance. On drawn speakers, 300 steps from this start reach the loss of 1000 from the other.
    """
    for block in (m for m in vae.modules() if isinstance(m, ResnetBlock2D | Attention)):
        last = block.conv2 if isinstance(block, ResnetBlock2D) else block.to_out[0]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        if isinstance(block, ResnetBlock2D) and block.conv_shortcut is not None:
            _keep_channels(block.conv_shortcut)
    _keep_channels(vae.encoder.conv_in)
    carried = vae.config.in_channels
    for halving in (m.conv for m in vae.encoder.modules() if isinstance(m, Downsample2D)):
        carried = _haar(halving, carried)
    for doubling in (m.conv for m in vae.decoder.modules() if isinstance(m, Upsample2D)):
        _keep_channels(doubling)
    for mixing in (
        vae.encoder.conv_out,
        vae.quant_conv,
        vae.post_quant_conv,
        vae.decoder.conv_in,
        vae.decoder.conv_out,
    ):
        if mixing is not None:
            nn.init.orthogonal_(mixing.weight)
            nn.init.zeros_(mixing.bias)
    last = vae.quant_conv if vae.quant_conv is not None else vae.encoder.conv_out
    count = vae.config.latent_channels
    last.weight[count:] = 0
    last.bias[count:] = _INITIAL_LOGVAR


def _keep_channels(conv: Any) -> None:
    """Make a convolution pass its channels, or mix them orthogonally into fewer."""
    if conv.out_channels >= conv.in_channels:
        nn.init.dirac_(conv.weight)
    else:
        nn.init.orthogonal_(conv.weight)
    nn.init.zeros_(conv.bias)


def _haar(conv: Any, carried: int) -> int:
    """Make a convolution of stride 2 the Haar transform of its first `carried` channels.

    Means come first, then differences, up to the number of channels. Returns the number of channels that
    carry the picture afterwards.
    """
    signs = torch.tensor([[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]])
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    used = min(4 * carried, int(conv.out_channels))
    for row in range(used):
        kind, channel = divmod(row, carried)
        conv.weight[row, channel, :2, :2] = signs[kind] / 2
    return used


@torch.no_grad()
def standardise(vae: AutoencoderKL, pictures: Iterable[torch.Tensor], device: torch.device) -> None:
    """Give every latent channel mean 0 and variance 1 over these pictures, with the same reconstructions.

    Scale and shift go into the 1 x 1 convolutions around the latents, which stock pipelines support, so that
    channels have equal weight in the loss of the denoiser and `scaling_factor` is 1. An autoencoder without
    these convolutions gets the inverse of the common standard deviation as `scaling_factor`.

    Args:
        vae: changed in place.
        pictures: an iterable of uint8 (3, S, S).
        device: of the autoencoder.
    """
    batch = torch.from_numpy(np.stack([picture.numpy() for picture in pictures])).to(device)
    means = [vae.encode(part.float() / 127.5 - 1).latent_dist.mean for part in torch.split(batch, 16)]
    latents = torch.cat(means).transpose(0, 1).flatten(1)
    if vae.quant_conv is None or vae.post_quant_conv is None:
        vae.register_to_config(scaling_factor=float(1 / latents.std()))
        return
    mean, std = latents.mean(dim=1), latents.std(dim=1)
    count = len(mean)
    into, out = vae.quant_conv, vae.post_quant_conv
    # The first half of the channels is the mean, the second the logarithm of the variance.
    into.weight[:count] /= std.view(-1, 1, 1, 1)
    into.bias[:count] = (into.bias[:count] - mean) / std
    into.bias[count:] -= 2 * std.log()
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight *= std.view(1, -1, 1, 1)
    vae.register_to_config(scaling_factor=1.0)
