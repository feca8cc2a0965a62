"""Parameters of a model by the prefixes of their names, and copies for a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from talkingpose.training.config import TrainConfig


def freeze(model: nn.Module, prefixes: Sequence[str]) -> None:
    """Exclude parameters with these prefixes from the training; `unet` is the denoising UNet."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(longest_prefix(name.removeprefix("denoising_"), prefixes) is None)


def frozen_parts(config: TrainConfig) -> tuple[str, ...]:
    """Return the prefixes of everything that is not trained."""
    encoder = ("vae.encoder", "vae.quant_conv") if config.stage == "perceptual" else ()
    return (*config.model.freeze, *encoder)


def stored_copy(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy on the CPU in the memory layout of files."""
    copied: Any = copy.deepcopy(module)
    moved: nn.Module = copied.to("cpu", dtype, memory_format=torch.contiguous_format).eval()
    return moved


def longest_prefix(name: str, prefixes: Iterable[str]) -> str | None:
    """Return the longest prefix of a parameter's name, in whole steps of its path."""
    return max((p for p in prefixes if name == p or name.startswith(f"{p}.")), key=len, default=None)
