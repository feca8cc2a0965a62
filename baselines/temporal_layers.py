"""Temporal layers of AnimateAnyone on the denoising UNet of the reference model.

The layers are the motion modules of AnimateDiff with per-frame group normalisation, as in
MooreThreads/Moore-AnimateAnyone (`src/models/motion_module.py`, `configs/inference/inference_v2.yaml`). They
run in the `UNetMotionModel` of diffusers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import nn

from talkingpose.model.checkpoint_folder import CheckpointError
from talkingpose.model.model_files import load_weights
from talkingpose.model.pose_guider import install_pose_input
from talkingpose.model.reference_attention import ReferenceCache, ReferenceReader, SingleTokenAttention
from talkingpose.pipeline.ddim import Sampler

WINDOW = 24
OVERLAP = 4
_MOTION = "motion_modules"
_POSITIONS = ".attention_blocks.0.pos_encoder.pe"
# The second attention of a layer has the same table.
_UNUSED = ".attention_blocks.1.pos_encoder.pe"
# Names of the official file and of diffusers, as in diffusers' conversion of AnimateDiff.
_RENAMED = {
    ".temporal_transformer": "",
    _POSITIONS: ".pos_embed.pe",
    ".attention_blocks.0": ".attn1",
    ".attention_blocks.1": ".attn2",
    ".norms.0": ".norm1",
    ".norms.1": ".norm2",
    ".ff_norm": ".norm3",
}


class FrameGroupNorm(nn.GroupNorm):
    """Group normalisation of each frame by itself; diffusers normalises all frames of a window together."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalise (n, C, frames, h, w)."""
        frames = input.transpose(1, 2)
        return super().forward(frames.flatten(0, 1)).view_as(frames).transpose(1, 2)


def add_temporal_layers(
    unet: UNet2DConditionModel, state: Mapping[str, torch.Tensor], where: Path
) -> UNetMotionModel:
    """Build the UNet with temporal layers.

    Args:
        unet: the denoising UNet; the result shares its weights, and gets the attention processors and the
            pose input of the pipeline.
        state: temporal layers by their official names, from `motion_module.pth`.
        where: names the file in messages.

    Returns:
        A model from samples (n, C + F, frames, h, w) of latents and pose features to (n, C, frames, h, w).
        Rows of its attentions are the frames of the first sample, then those of the second.

    Raises:
        CheckpointError: the layers do not fit the UNet.
    """
    motion = {
        key.removeprefix("module."): value
        for key, value in state.items()
        if _MOTION in key and not key.endswith(_UNUSED)
    }
    if not motion:
        raise CheckpointError(f"checkpoint {where}: has no temporal layers: give motion_module.pth")
    with torch.device("meta"):
        # By default one layer of 8 heads per block, the mid block included, and windows of up to 32 frames.
        model = UNetMotionModel.from_unet2d(unet, load_weights=False)
    device, dtype = unet.device, unet.dtype  # diffusers searches all modules for them
    moved = {_renamed(key): value.to(device, dtype) for key, value in motion.items()}
    load_weights(model, {**unet.state_dict(), **moved}, where)
    for name, module in list(model.named_modules()):
        if _MOTION in name and name.endswith(".norm"):
            model.set_submodule(name, _per_frame(module))
    install_pose_input(model)
    model.set_attn_processor({key: _processor(key) for key in model.attn_processors})
    return model


def windows(num_frames: int) -> list[list[int]]:
    """Return the frames of every window, in order.

    Windows of 24 frames start at 0, 20, 40, ... below `num_frames`; frame numbers are modulo `num_frames`, so
    the last window continues with the first frames. A clip of up to 24 frames is one window.

    Source: `src/pipelines/context.py`, `uniform`, with context stride 1 and overlap 4.
    """
    if num_frames <= WINDOW:
        return [list(range(num_frames))]
    starts = range(0, num_frames, WINDOW - OVERLAP)
    return [[(start + place) % num_frames for place in range(WINDOW)] for start in starts]


def denoise_clip(
    unet: UNetMotionModel,
    sampler: Sampler,
    guidance_scale: float,
    noise: torch.Tensor,
    features: Callable[[Sequence[int]], torch.Tensor],
    reference: ReferenceCache,
    *,
    averaged: bool = True,
) -> torch.Tensor:
    """Denoise all frames of a clip.

    All windows of a step read the same latents. Their predictions are averaged per frame, then the sampler
    makes one step for the whole clip.

    Args:
        unet: from `add_temporal_layers`.
        sampler: from `talkingpose.pipeline.ddim.make_sampler`.
        guidance_scale: 1 or less runs without the unconditional half.
        noise: float32 (T, C, h, w).
        features: returns the pose features (n, F, h, w) of n frames by their numbers.
        reference: of one portrait.
        averaged: False reproduces the official inference without guidance, which adds the predictions of
            overlapping windows without dividing by their number. No effect with guidance.

    Returns:
        Final latents, float32 (T, C, h, w).

    Source: `src/pipelines/pipeline_pose2vid_long.py`.
    """
    guided = guidance_scale > 1
    parts = windows(len(noise))
    counts = torch.zeros(len(noise), device=noise.device)
    for part in parts:
        counts[part] += 1
    divisor = (counts if averaged or guided else torch.ones_like(counts)).view(-1, 1, 1, 1)
    latents, dtype = noise, unet.dtype
    for number, timestep in enumerate(sampler.timesteps):
        total = torch.zeros_like(latents).repeat(2 if guided else 1, 1, 1, 1).view(-1, *latents.shape)
        for part in parts:
            sample = torch.cat([latents[part].to(dtype), features(part)], dim=1).transpose(0, 1)
            output = unet(
                torch.stack([sample] * len(total)),
                timestep,
                encoder_hidden_states=None,
                cross_attention_kwargs={"reference": reference.select([0] * len(part))},
                return_dict=False,
            )[0]
            total[:, part] += output.transpose(1, 2).to(total.dtype)
        prediction = total / divisor
        output = prediction[-1]
        if guided:
            output = prediction[0] + guidance_scale * (prediction[1] - prediction[0])
        latents = sampler.step(number, latents, output)
    return latents


def temporal_parameters(unet: UNetMotionModel) -> int:
    """Return the number of parameters of the temporal layers."""
    return sum(value.numel() for name, value in unet.named_parameters() if _MOTION in name)


def _renamed(key: str) -> str:
    for official, name in _RENAMED.items():
        key = key.replace(official, name)
    return key


def _per_frame(norm: Any) -> FrameGroupNorm:
    with torch.device("meta"):
        replacement = FrameGroupNorm(norm.num_groups, norm.num_channels, norm.eps)
    replacement.weight, replacement.bias = norm.weight, norm.bias
    return replacement


def _processor(key: str) -> AttnProcessor2_0 | ReferenceReader | SingleTokenAttention:
    name = key.removesuffix(".processor")
    if _MOTION in name:
        return AttnProcessor2_0()
    return ReferenceReader(name) if name.endswith(".attn1") else SingleTokenAttention(name)
