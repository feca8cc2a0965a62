"""AnimateDiff with ControlNet OpenPose and IP-Adapter, long clips by FreeNoise.

The motion modules were trained on windows of 16 frames. FreeNoise (Qiu et al., arXiv 2310.15169) denoises a
clip of any length at once: the motion modules run in overlapping windows and their results are averaged in
every layer, and the noise of a window is reused, shuffled, further on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from baselines.arguments import number, whole_number
from baselines.checkpoint import weights_root
from baselines.diffusers_contestant import (
    FILTER,
    animate_separately,
    device_and_dtype,
    prepare,
    weights_of,
)
from talkingpose.data.contestant import Case, ContestantInfo
from talkingpose.io.image import Image

if TYPE_CHECKING:
    import torch

NAME: Final = "animatediff"
WINDOW: Final = 16
STRIDE: Final = 4
# The sampler of AnimateDiff in the documentation of diffusers.
_SCHEDULER: Final[dict[str, Any]] = {
    "beta_schedule": "linear",
    "timestep_spacing": "linspace",
    "steps_offset": 1,
}


class AnimateDiff:
    """AnimateDiff with stock parts of diffusers.

    Memory grows with the clip: all frames are denoised at once.

    Args:
        checkpoint: folder in the layout of `baselines.stable_diffusion`; None for the fetched weights.
        device: `cpu` (float32), `cuda` or `cuda:N` (float16).
        steps: DDIM steps.
        guidance: classifier-free guidance scale; 1 or less runs without.

    Raises:
        ContestantError: weights are missing, or a setting has an invalid value.
        CheckpointError: a file is not the model's.
    """

    def __init__(
        self,
        *,
        checkpoint: str | None,
        device: str,
        steps: str | int = 25,
        guidance: str | float = 7.5,
    ) -> None:
        self._steps, self._guidance = whole_number("steps", steps, least=1), number("guidance", guidance)
        root = weights_root(NAME, checkpoint)
        device, dtype = device_and_dtype(device)
        from diffusers import AnimateDiffControlNetPipeline, MotionAdapter

        from baselines import stable_diffusion as sd
        from talkingpose.model.model_files import read_model

        parts = sd.read_components(root, dtype, _SCHEDULER)
        adapter = read_model(MotionAdapter, root / "animatediff-adapter").to(dtype)
        self._pipeline = AnimateDiffControlNetPipeline(**parts, motion_adapter=adapter)
        sd.add_ip_adapter(self._pipeline, root)
        self._pipeline.enable_free_noise(context_length=WINDOW, context_stride=STRIDE)
        prepare(self._pipeline, device)
        pipeline = self._pipeline
        self._longer_side = int(pipeline.unet.config.sample_size) * pipeline.vae_scale_factor
        models = [pipeline.unet, pipeline.vae, pipeline.controlnet, pipeline.image_encoder]
        self.info = ContestantInfo(
            name=NAME,
            revision="1",
            parameters=sd.num_parameters([*models, pipeline.text_encoder]),
            licence=sd.LICENCE if checkpoint is None else "unknown",
            window=WINDOW,
            args={
                "steps": self._steps,
                "guidance": self._guidance,
                "stride": STRIDE,
                "prompt": sd.PROMPT,
                "negative_prompt": sd.NEGATIVE_PROMPT,
                "ip_adapter_scale": sd.IP_ADAPTER_SCALE,
                "pose_picture": "openpose",
                "size": f"native {self._longer_side}, {FILTER}",
                "dtype": str(dtype).removeprefix("torch."),
            },
            weights=weights_of(NAME, checkpoint, (*sd.PARTS, "animatediff-adapter")),
            backbone=sd.BACKBONE if checkpoint is None else None,
            carry=0,
            streams=False,
            memory="grows",
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the frames of the running cases, generated at the native size and resized."""
        from talkingpose.pipeline.load import scaled_size

        unit = self._pipeline.vae_scale_factor
        size = scaled_size(cases[0].width, cases[0].height, self._longer_side, unit)
        return animate_separately(cases, seed, size, self._frames)

    def _frames(self, case: Case, size: tuple[int, int], generator: torch.Generator) -> Iterator[Image]:
        from baselines import stable_diffusion as sd

        pipeline, (width, height) = self._pipeline, size
        poses = sd.pose_pictures(case, size)
        # FreeNoise needs a whole window.
        padded = [*poses, *[poses[-1]] * (WINDOW - len(poses))]
        latents = pipeline(
            prompt=sd.PROMPT,
            negative_prompt=sd.NEGATIVE_PROMPT,
            conditioning_frames=padded,
            num_frames=len(padded),
            ip_adapter_image_embeds=sd.image_prompt(pipeline, case.reference, self._guidance > 1),
            height=height,
            width=width,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            generator=generator,
            output_type="latent",
        ).frames
        for position in range(case.num_frames):
            yield sd.decode(pipeline, latents[:, :, position])[0]
