"""Tiny random weights of every contestant, in the layout of the lock file."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

PARITY = Path(__file__).parents[1] / "data" / "parity"


OFFICIAL_NAMES = {
    ".pos_embed.pe": ".attention_blocks.0.pos_encoder.pe",
    ".attn1.": ".attention_blocks.0.",
    ".attn2.": ".attention_blocks.1.",
    ".norm1.": ".norms.0.",
    ".norm2.": ".norms.1.",
    ".norm3.": ".ff_norm.",
}


def write_animate_anyone(folder: Path) -> Path:
    """The checkpoint of the parity tests, with random temporal layers."""
    from diffusers import UNet2DConditionModel, UNetMotionModel

    shutil.copytree(PARITY, folder, ignore=shutil.ignore_patterns("*.npz"))
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "base" / "unet"))
        model = UNetMotionModel.from_unet2d(unet, load_weights=False)
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, tensor in model.state_dict().items():
        block, mark, rest = name.partition(".motion_modules.")
        if mark:
            number, _, inner = rest.partition(".")
            inner = f".{inner}"
            for current, official in OFFICIAL_NAMES.items():
                inner = inner.replace(current, official)
            drawn = torch.randn(tensor.shape, generator=generator) * 0.1
            state[f"{block}{mark}{number}.temporal_transformer{inner}"] = drawn
    torch.save(state, folder / "motion_module.pth")
    return folder
