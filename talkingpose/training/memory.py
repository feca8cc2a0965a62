"""Estimate of the memory of a training, before any weight is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psutil
import torch
from torch import nn

from talkingpose.pipeline.ddim import make_sampler
from talkingpose.training.config import TrainConfig
from talkingpose.training.errors import TrainingError
from talkingpose.training.models import vae_factor
from talkingpose.training.parameters import freeze, frozen_parts
from talkingpose.training.stages.autoencoder import AutoencoderModel
from talkingpose.training.stages.denoiser import DenoiserModel
from talkingpose.training.stages.loss import make_scheduler
from talkingpose.training.stages.perceptual import PerceptualModel

# Bytes per trained parameter: weight, gradient, two moments of AdamW, moving average; all float32.
_TRAINED = 20
_FROZEN = 4
# Factor for the allocator, the batch and temporary results.
_MARGIN = 1.15


def estimate(config: TrainConfig, parts: Mapping[str, Any]) -> int:
    """Estimate the bytes of a training: parameters by count, activations as autograd keeps them for a sample.

    Args:
        config: of the training.
        parts: all parts of the stage, on the meta device; they cannot be used afterwards.
    """
    factor = vae_factor(parts["vae"].config)
    side = config.size // factor
    channels = parts["vae"].config.latent_channels
    model: Any
    inputs: list[tuple[int, ...]]
    if config.stage == "vae":
        model, frozen = AutoencoderModel(parts["vae"]), 0
        inputs = [(1, 3, config.size, config.size), (1, channels, side, side)]
    else:
        if config.stage == "perceptual":
            sampler = make_sampler(make_scheduler("linear"), config.sampling.steps, torch.device("meta"))
            model, frozen = PerceptualModel(dict(parts), sampler).train(), 0
        else:
            model = DenoiserModel(dict(parts)).train()
            frozen = sum(p.numel() for p in parts["vae"].parameters())
        if config.gradient_checkpointing:
            model.denoising_unet.enable_gradient_checkpointing()
            model.reference_unet.enable_gradient_checkpointing()
        image = model.image_encoder.config.image_size
        latents = (1, channels, side, side)
        picture, pixels = (1, 3, config.size, config.size), (1, 3, image, image)
        if config.stage == "perceptual":
            inputs = [latents, picture, latents, pixels]
        else:
            inputs = [latents, (1,), picture, latents, pixels]
    freeze(model, frozen_parts(config))
    tensors = [torch.zeros(shape, device="meta") for shape in inputs]
    if config.stage == "perceptual":
        row = torch.zeros(1, dtype=torch.long, device="meta")
        tensors += [row, tensors[0], row]
    kept = saved_bytes(model, tensors)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen += sum(p.numel() for p in model.parameters() if not p.requires_grad)
    # Autocast keeps activations in two bytes and a copy of the weights in two.
    half = config.mixed_precision != "no"
    activations = kept * config.batch_size * (0.5 if half else 1)
    return int(_MARGIN * (count * (_TRAINED + (2 if half else 0)) + frozen * _FROZEN + activations))


def saved_bytes(model: nn.Module, inputs: list[torch.Tensor]) -> int:
    """Return the bytes that one forward pass keeps for the backward pass, without the parameters."""
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    seen: dict[int, torch.Tensor] = {}

    def record(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in own:
            # Kept until the end, so that no other tensor gets the same storage address.
            seen[storage] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        model(*inputs)
    return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())


def check_memory(needed: int, device: torch.device) -> str:
    """Refuse a training that does not fit into memory; return the estimate as a sentence.

    Raises:
        TrainingError: names both numbers.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    estimated = f"memory: about {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free on {device}"
    if needed > free:
        raise TrainingError(
            f"{estimated}: set a smaller batch_size with more accumulate, or gradient_checkpointing: true"
        )
    return estimated
