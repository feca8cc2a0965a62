"""Stable Diffusion 1.5 with ControlNet OpenPose and IP-Adapter, frame by frame.

No part of it was trained on video: the pose comes from the ControlNet, the person from the IP-Adapter, and
nothing ties one frame to the next but the noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from baselines.arguments import choice, number, whole_number
from baselines.checkpoint import weights_root
from baselines.diffusers_contestant import StableDiffusionContestant, device_and_dtype, prepare
from talkingpose.data.contestant import Case
from talkingpose.io.image import Image

if TYPE_CHECKING:
    import torch

NAME: Final = "controlnet-ip"


class ControlNetIp(StableDiffusionContestant):
    """Frame-by-frame generation with stock parts of diffusers.

    Args:
        checkpoint: folder in the layout of `baselines.stable_diffusion`; None for the fetched weights.
        device: `cpu` (float32), `cuda` or `cuda:N` (float16).
        steps: DDIM steps per frame.
        guidance: classifier-free guidance scale; 1 or less runs without.
        noise: `fixed`: every frame of a clip starts from the same noise. `fresh`: each from its own.

    Raises:
        ContestantError: weights are missing, or a setting has an invalid value.
        CheckpointError: a file is not the model's.
    """

    def __init__(
        self,
        *,
        checkpoint: str | None,
        device: str,
        steps: str | int = 30,
        guidance: str | float = 7.5,
        noise: str = "fixed",
    ) -> None:
        self._steps, self._guidance = whole_number("steps", steps, least=1), number("guidance", guidance)
        self._fixed = choice("noise", noise, ("fixed", "fresh")) == "fixed"
        root = weights_root(NAME, checkpoint)
        device, dtype = device_and_dtype(device)
        from diffusers import StableDiffusionControlNetPipeline

        from baselines import stable_diffusion as sd

        parts = sd.read_components(root, dtype, {})
        self._pipeline = StableDiffusionControlNetPipeline(
            **parts, safety_checker=None, requires_safety_checker=False
        )
        sd.add_ip_adapter(self._pipeline, root)
        prepare(self._pipeline, device)
        self._prompts = self._pipeline.encode_prompt(
            sd.PROMPT, self._pipeline.device, 1, True, sd.NEGATIVE_PROMPT
        )
        args = {"noise": noise}
        self.info = self._describe(
            NAME, checkpoint, sd.PARTS, args, window=1, streams=True, memory="constant"
        )

    def _frames(self, case: Case, size: tuple[int, int], generator: torch.Generator) -> Iterator[Image]:
        import torch

        from baselines import stable_diffusion as sd

        pipeline, (width, height) = self._pipeline, size
        scale = pipeline.vae_scale_factor
        shape = (1, pipeline.unet.config.in_channels, height // scale, width // scale)
        person = sd.image_prompt(pipeline, case.reference, self._guidance > 1)
        noise: torch.Tensor | None = None
        for keypoints in case.keypoints:
            if noise is None or not self._fixed:
                noise = torch.randn(shape, generator=generator)
            latents = pipeline(
                prompt_embeds=self._prompts[0],
                negative_prompt_embeds=self._prompts[1],
                image=sd.pose_picture(keypoints, size),
                ip_adapter_image_embeds=person,
                latents=noise.to(pipeline.device, pipeline.unet.dtype),
                height=height,
                width=width,
                num_inference_steps=self._steps,
                guidance_scale=self._guidance,
                output_type="latent",
            ).images
            yield sd.decode(pipeline, latents)[0]
