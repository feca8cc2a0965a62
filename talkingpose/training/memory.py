"""Will it fit: an estimate of the memory of a training, before any weight is loaded."""

from __future__ import annotations

from collections.abc import Mapping

import psutil
import torch
from torch import nn

from talkingpose.training.autoencoder import AutoencoderModel
from talkingpose.training.config import TrainConfig
from talkingpose.training.denoiser import DenoiserModel, freeze
from talkingpose.training.errors import TrainingError
from talkingpose.training.models import vae_factor

# Bytes per trained parameter: weight, gradient, two moments of AdamW, moving average; all float32.
_TRAINED = 20
_FROZEN = 4
# What the allocator, the batch itself and temporary results take on top.
_MARGIN = 1.15


def estimate(config: TrainConfig, parts: Mapping[str, nn.Module]) -> int:
    """Bytes a training needs: parameters by count, activations by what autograd would keep of one sample.

    Args:
        parts: all parts of the stage, on the meta device; they are used up.
    """
    factor = vae_factor(parts["vae"].config)
    side = config.size // factor
    channels = parts["vae"].config.latent_channels
    model: nn.Module
    if config.stage == "vae":
        model, frozen = AutoencoderModel(parts["vae"]), 0
        inputs = [(1, 3, config.size, config.size), (1, channels, side, side)]
    else:
        model = DenoiserModel(dict(parts)).train()
        freeze(model, config.model.freeze)
        frozen = sum(p.numel() for p in parts["vae"].parameters())
        if config.gradient_checkpointing:
            model.denoising_unet.enable_gradient_checkpointing()
            model.reference_unet.enable_gradient_checkpointing()
        image = model.image_encoder.config.image_size
        latents = (1, channels, side, side)
        inputs = [latents, (1,), (1, 3, config.size, config.size), latents, (1, 3, image, image)]
    tensors = [torch.zeros(shape, device="meta") for shape in inputs]
    kept = saved_bytes(model, tensors)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen += sum(p.numel() for p in model.parameters() if not p.requires_grad)
    # Autocast keeps activations in two bytes and a copy of the weights in two.
    half = config.mixed_precision != "no"
    activations = kept * config.batch_size * (0.5 if half else 1)
    return int(_MARGIN * (count * (_TRAINED + (2 if half else 0)) + frozen * _FROZEN + activations))


def saved_bytes(model: nn.Module, inputs: list[torch.Tensor]) -> int:
    """Bytes that one forward pass keeps for the backward pass, without the parameters."""
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    seen: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in own:
            # Held until the end, so that no other tensor takes the place of its storage.
            seen[storage] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(*inputs)
    return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())


def check_memory(needed: int, device: torch.device) -> None:
    """Refuse a training that cannot fit.

    Raises:
        TrainingError: says both numbers.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if needed > free:
        raise TrainingError(
            f"memory: about {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free on {device}: "
            "set a smaller batch_size with more accumulate, or gradient_checkpointing: true"
        )
