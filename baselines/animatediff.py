"""AnimateDiff with ControlNet OpenPose and IP-Adapter, long clips by FreeNoise.

The motion modules were trained on windows of 16 frames. FreeNoise (Qiu et al., arXiv 2310.15169) denoises a
clip of any length at once: the motion modules run in overlapping windows and their results are averaged in
every layer, and the noise of a window is reused, shuffled, further on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from baselines.arguments import number, whole_number
from baselines.checkpoint import weights_root
from baselines.diffusers_contestant import StableDiffusionContestant, device_and_dtype, prepare
from talkingpose.data.contestant import Case
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


class AnimateDiff(StableDiffusionContestant):
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

        components = sd.read_components(root, dtype, _SCHEDULER)
        adapter = read_model(MotionAdapter, root / "animatediff-adapter").to(dtype)
        self._pipeline = AnimateDiffControlNetPipeline(**components, motion_adapter=adapter)
        sd.add_ip_adapter(self._pipeline, root)
        self._pipeline.enable_free_noise(context_length=WINDOW, context_stride=STRIDE)
        prepare(self._pipeline, device)
        parts = (*sd.PARTS, "animatediff-adapter")
        args = {"stride": STRIDE}
        self.info = self._describe(
            NAME, checkpoint, parts, args, window=WINDOW, streams=False, memory="grows"
        )

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
