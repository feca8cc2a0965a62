"""Inference of TalkingPose as the official code runs it: the baseline of `generation.py`.

It repeats the computation of the official inference, frame by frame and for one clip at a time: image
encoder, VAE encoder and reference UNet run for every frame, the latter for both halves of the guidance; keys
and values of the bank are projected at every step; in the denoising UNet both halves attend to the bank, then
the unconditional half is computed again without it; cross-attention is computed although it sees one token.
The temporal layers are left out, because they change nothing and would favour the pipeline.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import PIL.Image
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from talkingpose import TalkingPosePipeline
from talkingpose.model.pose_guider import install_pose_input


@dataclass
class Bank:
    """Inputs of self-attention by name, (2, tokens, channels): without and with the portrait's token."""

    tokens: dict[str, torch.Tensor] = field(default_factory=dict)


class Writer(AttnProcessor2_0):
    """Attention of the reference UNet that stores the input of self-attention."""

    def __init__(self, name: str, bank: Bank) -> None:
        super().__init__()
        self.name, self.bank = name, bank

    def __call__(
        self, attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states: Any = None, **more: Any
    ) -> torch.Tensor:
        """Attend as diffusers does."""
        if encoder_hidden_states is None:
            self.bank.tokens[self.name] = hidden_states
        return super().__call__(attn, hidden_states, encoder_hidden_states, **more)


class Reader(AttnProcessor2_0):
    """Self-attention of the denoising UNet: all rows with the bank, then the unconditional ones without."""

    def __init__(self, name: str, bank: Bank) -> None:
        super().__init__()
        self.name, self.bank = name, bank

    def __call__(
        self, attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states: Any = None, **more: Any
    ) -> torch.Tensor:
        """Attend; the first of two rows is unconditional, a single row is conditional."""
        bank = self.bank.tokens[self.name][-len(hidden_states) :]
        joint = torch.cat([hidden_states, bank], dim=1)
        result = super().__call__(attn, hidden_states, joint)
        if len(hidden_states) == 2:
            result[:1] = super().__call__(attn, hidden_states[:1], hidden_states[:1])
        return result


class PlainLoop:
    """Plain loop on the weights of a pipeline, which are shared, not copied."""

    def __init__(self, pipeline: TalkingPosePipeline) -> None:
        self.parts = pipeline.components
        self.vae_processor = pipeline.vae_processor
        self.bank = Bank()
        self.reference_unet = _same_weights(pipeline.reference_unet)
        self.denoising_unet = _same_weights(pipeline.denoising_unet)
        install_pose_input(self.denoising_unet)
        for unet, kind in ((self.reference_unet, Writer), (self.denoising_unet, Reader)):
            unet.set_attn_processor(
                {
                    key: kind(key.removesuffix(".processor"), self.bank)
                    if ".attn1." in key
                    else AttnProcessor2_0()
                    for key in unet.attn_processors
                }
            )

    @torch.no_grad()
    def __call__(
        self,
        reference: np.ndarray,
        poses: Sequence[np.ndarray],
        *,
        latents: torch.Tensor,
        num_inference_steps: int = 30,
        guidance_scale: float = 3.5,
        gain: float = 0.05,
    ) -> Iterator[np.ndarray]:
        """Yield frames, float32 (3, H, W) in [0, 1], of one clip; arguments are those of the pipeline."""
        noise, previous = latents, None
        for pose in poses:
            initial = noise if previous is None else noise + gain * (previous - noise)
            previous = self._frame(reference, pose, initial, num_inference_steps, guidance_scale)
            vae = self.parts["vae"]
            picture = vae.decode((previous / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0]
            yield (picture.float() / 2 + 0.5).clamp(0, 1).cpu().numpy()[0]

    def _frame(
        self, reference: np.ndarray, pose: np.ndarray, initial: torch.Tensor, steps: int, scale: float
    ) -> torch.Tensor:
        encoder, vae, guider = (self.parts[name] for name in ("image_encoder", "vae", "pose_guider"))
        device, dtype = vae.device, vae.dtype
        guided = scale > 1

        # The portrait's token; the unconditional one is zeros.
        portrait = PIL.Image.fromarray(reference)
        side = encoder.config.image_size
        square = portrait.resize((side, side), PIL.Image.Resampling.BICUBIC)
        pixels = self.parts["image_processor"](square, return_tensors="pt").pixel_values.to(torch.float16)
        token = encoder(pixels.to(device, encoder.dtype)).image_embeds[:, None].to(dtype)
        tokens = torch.cat([torch.zeros_like(token), token]) if guided else token

        # The bank, with both tokens.
        picture = self.vae_processor.preprocess([portrait], *pose.shape[:2]).to(device, dtype)
        portrait_latents = vae.encode(picture).latent_dist.mean * vae.config.scaling_factor
        rows = portrait_latents.expand(len(tokens), -1, -1, -1)
        self.reference_unet(rows, torch.zeros((), dtype=torch.long, device=device), tokens)

        pixels = torch.from_numpy(pose).to(device).permute(2, 0, 1)[None].float() / 255
        feature = guider(pixels.to(dtype))

        scheduler = copy.deepcopy(self.parts["scheduler"])
        scheduler.set_timesteps(steps)
        latents = initial
        for timestep in scheduler.timesteps:
            sample = torch.cat([torch.cat([latents.to(dtype), feature], dim=1)] * len(tokens))
            velocity = self.denoising_unet(sample, timestep, tokens, return_dict=False)[0].to(latents.dtype)
            if guided:
                unconditional, conditional = velocity.chunk(2)
                velocity = unconditional + scale * (conditional - unconditional)
            latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
        return latents


def _same_weights(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    with torch.device("meta"):
        stock = UNet2DConditionModel.from_config(unet.config)
    stock.load_state_dict(unet.state_dict(), assign=True)
    return stock.eval()
