"""AnimateAnyone on the backbone of the reference model: temporal layers instead of feedback.

Moore-AnimateAnyone has the reference UNet, denoising UNet and pose guider of TalkingPose, and temporal layers
in the denoising UNet. A clip is generated in windows of 24 frames that overlap by 4 and close to a loop; all
windows advance together, step by step, so every frame needs all poses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from baselines.arguments import choice
from baselines.checkpoint import locked_weights, weight_files, weights_root
from baselines.talkingpose_model import MOTION_FILE, TalkingPose
from talkingpose.data.contestant import Case, ContestantWeights, running
from talkingpose.io.image import Image

if TYPE_CHECKING:
    import torch

    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

NAME: Final = "animate-anyone"


class AnimateAnyone(TalkingPose):
    """AnimateAnyone in the version of MooreThreads/Moore-AnimateAnyone.

    Memory grows with the clip: latents, predictions and pose pictures of all frames are held.

    Args:
        checkpoint: folder in the official layout with `motion_module.pth`; None for the fetched weights.
        device: `cpu` (float32), `cuda` or `cuda:N` (float16).
        steps: DDIM steps.
        guidance: classifier-free guidance scale.
        overlap: `averaged` divides the predictions of overlapping windows by their number. `official` does so
            with guidance only, as the official inference does.

    Raises:
        ContestantError: weights are missing, or a setting has an invalid value.
        CheckpointError: a file is not the model's.
    """

    name = NAME
    carry = 0
    default_feedback = ("proportional", {"gain": 0.0})

    def __init__(
        self,
        *,
        checkpoint: str | None,
        device: str,
        steps: str | int | None = None,
        guidance: str | float | None = None,
        overlap: str = "averaged",
    ) -> None:
        averaged = choice("overlap", overlap, ("averaged", "official")) == "averaged"
        root = weights_root(NAME, checkpoint)
        folder = root / NAME if checkpoint is None else root
        self._fetched = checkpoint is None
        super().__init__(checkpoint=str(folder), device=device, steps=steps, guidance=guidance)
        from baselines.temporal_layers import OVERLAP, WINDOW, add_temporal_layers, temporal_parameters
        from talkingpose.model.model_files import read_pth

        motion_file = folder / MOTION_FILE
        self._averaged = averaged
        self._unet = add_temporal_layers(self._pipeline.denoising_unet, read_pth(motion_file), motion_file)
        args = {name: value for name, value in self.info.args.items() if name != "gain"}
        self.info = dataclasses.replace(
            self.info,
            parameters=self.info.parameters + temporal_parameters(self._unet),
            licence="Apache-2.0" if checkpoint is None else "unknown",
            window=WINDOW,
            streams=False,
            memory="grows",
            batch_size=1,
            args={**args, "overlap": f"{OVERLAP} frames, {overlap}"},
        )

    def _weight_files(self, folder: Path) -> tuple[ContestantWeights, ...]:
        return locked_weights(NAME) if self._fetched else weight_files(folder)

    def _frames(
        self, cases: Sequence[Case], size: tuple[int, int], generators: Sequence[torch.Generator]
    ) -> Iterator[list[Image]]:
        # One clip after another: the frames of a clip do not depend on its batch.
        clips = [self._latents(case, size, each) for case, each in zip(cases, generators, strict=True)]
        for step in range(max(case.num_frames for case in cases)):
            frames = [self._pipeline.decode(clips[row][step][None])[0] for row in running(cases, step)]
            yield cast("list[Image]", frames)

    def _latents(self, case: Case, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
        """Return the final latents of a clip, float32 (T, C, h, w)."""
        import torch

        from baselines.temporal_layers import denoise_clip
        from talkingpose.pipeline.ddim import make_sampler

        width, height = size
        pipeline = self._pipeline
        pictures = list(self._pose_pictures(case, size))
        with torch.no_grad():
            return denoise_clip(
                self._unet,
                make_sampler(pipeline.scheduler, self._steps, pipeline.device),
                self._guidance,
                clip_noise(pipeline, len(pictures), height, width, generator),
                lambda part: pipeline.encode_pose([pictures[number] for number in part]),
                pipeline.encode_reference([case.reference], height, width),
                averaged=self._averaged,
            )


def clip_noise(
    pipeline: TalkingPosePipeline, num_frames: int, height: int, width: int, generator: torch.Generator
) -> torch.Tensor:
    """Draw the noise of a clip, float32 (T, C, h, w), channels before frames as officially."""
    import torch

    scale = pipeline.vae_scale_factor
    channels = int(pipeline.denoising_unet.config.in_channels)
    shape = (channels, num_frames, height // scale, width // scale)
    drawn = torch.randn(shape, generator=generator, device=generator.device)
    return drawn.transpose(0, 1).contiguous().to(pipeline.device)
