"""A model small enough to train in a test, with the classes of the large one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers import AutoencoderKL

from talkingpose.training.config import TrainConfig, checked

VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [8, 16],
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": 32,
}
UNET = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "attention_head_dim": 2,
    "cross_attention_dim": 16,
    "norm_num_groups": 4,
}
ENCODER = {
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "projection_dim": 16,
}
GUIDER = {"conditioning_embedding_channels": 16, "block_out_channels": [8, 16]}


def awake(module: torch.nn.Module) -> torch.nn.Module:
    """Fill the weights that are zero, so that everything in the module has an effect."""
    generator = torch.Generator().manual_seed(7)
    for weights in module.parameters():
        if not bool(weights.any()):
            weights.data.copy_(0.1 * torch.randn(weights.shape, generator=generator))
    return module


@pytest.fixture(scope="session")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vae")
    AutoencoderKL(**VAE).save_pretrained(folder)
    return folder


@pytest.fixture
def content(tmp_path: Path, vae_folder: Path) -> dict[str, Any]:
    """Content of a configuration of stage denoiser."""
    return denoiser_content(tmp_path, vae_folder)


def denoiser_content(folder: Path, vae_folder: Path) -> dict[str, Any]:
    return {
        "stage": "denoiser",
        "out": str(folder / "out"),
        "size": 32,
        "steps": 4,
        "batch_size": 2,
        "threads": 1,
        "source": {
            "name": "drawn",
            "options": {"identities": 2, "first_seed": 100},
            "validation": {"first_seed": 200},
        },
        "model": {
            "vae": {"pretrained": str(vae_folder)},
            "unet": {"config": UNET},
            "image_encoder": {"config": ENCODER},
            "pose_guider": {"config": GUIDER},
        },
        "optimizer": {"learning_rate": 2e-3},
        "validation": {"every": 100, "samples": 1, "inference_steps": 2},
    }


@pytest.fixture
def vae_content(content: dict[str, Any]) -> dict[str, Any]:
    """Content of a configuration of stage vae."""
    return content | {"stage": "vae", "model": {"vae": {"config": VAE}}}


@pytest.fixture
def config(content: dict[str, Any]) -> TrainConfig:
    return checked(content, "test")


def write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path
