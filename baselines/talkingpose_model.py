"""TalkingPose as a contestant, with the feedback of the paper, another one or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from baselines.arguments import number, whole_number
from baselines.checkpoint import weight_files
from talkingpose.data.contestant import (
    Case,
    ContestantError,
    ContestantInfo,
    ContestantWeights,
    case_seed,
)
from talkingpose.io.image import Image
from talkingpose.model.checkpoint_folder import DEFAULT_CHECKPOINT, checkpoint_folder
from talkingpose.model.inference_settings import read_inference
from talkingpose.pipeline.load import load_pipeline, native_size

if TYPE_CHECKING:
    import torch

    from talkingpose.pipeline.feedback import FeedbackController

FILTER: Final = "lanczos"
REVISION = "1"
# Temporal layers, which only `animate-anyone` uses.
MOTION_FILE: Final = "motion_module.pth"


class TalkingPose:
    """TalkingPose at the native size of its UNet, with the feedback of the paper.

    Args:
        checkpoint: `tiny`, which is bundled and the default, or a folder in the official layout or in
            diffusers' layout.
        device: `cpu` (float32), `cuda` or `cuda:N` (float16).
        steps: DDIM steps per frame; None for the value of the checkpoint.
        guidance: classifier-free guidance scale; None for the value of the checkpoint.
        feedback: controller (docs/reference/feedback-controllers.md); default is the paper's loop.
        settings: settings of the controller, such as `gain`, beta in the paper.

    Raises:
        CheckpointError: the checkpoint does not exist or cannot be read.
        ContestantError, FeedbackError: a setting is unknown or has an invalid value.
    """

    name = "talkingpose"
    carry = 1
    default_feedback: ClassVar[tuple[str, Mapping[str, float]]] = ("proportional", {})

    def __init__(
        self,
        *,
        checkpoint: str | None,
        device: str,
        steps: str | int | None = None,
        guidance: str | float | None = None,
        feedback: str | None = None,
        **settings: str | float,
    ) -> None:
        self._feedback, described = self._controller(feedback, settings)
        named = DEFAULT_CHECKPOINT if checkpoint is None else checkpoint
        folder = checkpoint_folder(named)
        self._inference = own = read_inference(folder)
        self._steps = whole_number("steps", own.num_inference_steps if steps is None else steps, least=1)
        self._guidance = number("guidance", own.guidance_scale if guidance is None else guidance)
        self._pipeline = load_pipeline(named, device)
        unet = self._pipeline.denoising_unet
        native = int(unet.config.sample_size) * self._pipeline.vae_scale_factor
        models = ("vae", "image_encoder", "reference_unet", "denoising_unet", "pose_guider")
        self.info = ContestantInfo(
            name=self.name,
            revision=REVISION,
            parameters=sum(p.numel() for m in models for p in getattr(self._pipeline, m).parameters()),
            licence="Apache-2.0" if named == DEFAULT_CHECKPOINT else "unknown",
            window=1,
            carry=self.carry,
            streams=True,
            memory="constant",
            batch_size=4 if device.startswith("cuda") else 1,
            args={
                **({"checkpoint": named} if named == DEFAULT_CHECKPOINT else {}),
                "steps": self._steps,
                "guidance": self._guidance,
                **described,
                "pose_picture": self._inference.pose_picture,
                "size": f"native {native}, {FILTER}",
                "dtype": str(unet.dtype).removeprefix("torch."),
            },
            weights=self._weight_files(folder),
            backbone=_backbone(named, unet.config),
        )

    def _controller(
        self, feedback: str | None, settings: Mapping[str, str | float]
    ) -> tuple[FeedbackController, dict[str, str | float]]:
        """Return the controller, and its name and settings for the info."""
        from talkingpose.pipeline.feedback import make_controller, setting_names

        name, given = self.default_feedback
        if feedback is not None and feedback != name:
            name, given = feedback, {}
        controller = make_controller(name, {})
        known = setting_names(controller)
        unknown = next((key for key in settings if key not in known), None)
        if unknown is not None:
            raise ContestantError(
                f"--model-args {unknown}: {self.name} has no such setting: it has steps, guidance, "
                f"feedback, and with feedback={name} {', '.join(known)}"
            )
        controller = make_controller(name, {**given, **settings})
        described = {key: getattr(controller, key) for key in known}
        return controller, described if name == "proportional" else {"feedback": name, **described}

    def _weight_files(self, folder: Path) -> tuple[ContestantWeights, ...]:
        return weight_files(folder, (MOTION_FILE,))

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the frames of the running cases, generated at the native size and resized.

        Poses are drawn at the native size. The noise of a case is drawn from its own seed, on the CPU.
        """
        import torch

        from talkingpose.media import resize_image

        requested = (cases[0].width, cases[0].height)
        size = native_size(self._pipeline, *requested)
        generators = [torch.Generator("cpu").manual_seed(case_seed(seed, case.clip_id)) for case in cases]
        for images in self._frames(cases, size, generators):
            yield [image if size == requested else resize_image(image, requested, FILTER) for image in images]

    def _frames(
        self, cases: Sequence[Case], size: tuple[int, int], generators: Sequence[torch.Generator]
    ) -> Iterator[list[Image]]:
        """Yield frames at the native size (width, height)."""
        return self._pipeline.stream(
            [case.reference for case in cases],
            [self._pose_pictures(case, size) for case in cases],
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            feedback=self._feedback,
            generator=list(generators),
        )

    def _pose_pictures(self, case: Case, size: tuple[int, int]) -> Iterator[Image]:
        for keypoints in case.keypoints:
            yield self._inference.draw(keypoints, size[1], size[0])


class OpenLoop(TalkingPose):
    """TalkingPose without feedback: every frame starts from the same noise."""

    name = "open-loop"
    carry = 0
    default_feedback = ("proportional", {"gain": 0.0})

    def __init__(
        self,
        *,
        checkpoint: str | None,
        device: str,
        steps: str | int | None = None,
        guidance: str | float | None = None,
    ) -> None:
        super().__init__(checkpoint=checkpoint, device=device, steps=steps, guidance=guidance)


def _backbone(checkpoint: str, config: Mapping[str, Any]) -> str | None:
    """Return the name of the pretrained model that a UNet has the shape of."""
    if checkpoint == DEFAULT_CHECKPOINT:
        return f"talkingpose-{DEFAULT_CHECKPOINT}"
    shape = (tuple(config["block_out_channels"]), config["cross_attention_dim"])
    return "stable-diffusion-v1-5" if shape == ((320, 640, 1280, 1280), 768) else None
