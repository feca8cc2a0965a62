"""Base of the contestants that run a pipeline of diffusers at its native size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from baselines.checkpoint import locked_weights, weight_files, weights_root
from talkingpose.data.contestant import Case, ContestantInfo, ContestantWeights, case_seed, running
from talkingpose.io.image import Image

if TYPE_CHECKING:
    import torch

FILTER: Final = "lanczos"


class FrameSource(Protocol):
    """Generator of the frames of one case at the native size."""

    def __call__(self, case: Case, size: tuple[int, int], generator: torch.Generator) -> Iterator[Image]:
        """Yield uint8 (height, width, 3) frames at `size`, (width, height)."""
        ...


def animate_separately(
    cases: Sequence[Case], seed: int, size: tuple[int, int], frames: FrameSource
) -> Iterator[list[Image]]:
    """Generate every case by itself and yield in lockstep; the frames of a case do not depend on its batch.

    Args:
        cases: of one frame size.
        seed: of the run.
        size: native (width, height).
        frames: generates one case; the generator is that of the case, on the CPU.
    """
    import torch

    from talkingpose.media import resize_image

    requested = (cases[0].width, cases[0].height)
    videos = [
        frames(case, size, torch.Generator("cpu").manual_seed(case_seed(seed, case.clip_id)))
        for case in cases
    ]
    for step in range(max(case.num_frames for case in cases)):
        images = [next(videos[row]) for row in running(cases, step)]
        yield [image if size == requested else resize_image(image, requested, FILTER) for image in images]


class StableDiffusionContestant:
    """Contestant on a pipeline of `baselines.stable_diffusion`; a subclass generates the frames of a case."""

    info: ContestantInfo
    _pipeline: Any
    _steps: int
    _guidance: float

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the frames of the running cases, generated at the native size and resized."""
        from talkingpose.pipeline.load import scaled_size

        unit = self._pipeline.vae_scale_factor
        size = scaled_size(cases[0].width, cases[0].height, self._longer_side, unit)
        return animate_separately(cases, seed, size, self._frames)

    def _frames(self, case: Case, size: tuple[int, int], generator: torch.Generator) -> Iterator[Image]:
        raise NotImplementedError

    @property
    def _longer_side(self) -> int:
        return int(self._pipeline.unet.config.sample_size) * int(self._pipeline.vae_scale_factor)

    def _describe(
        self, name: str, checkpoint: str | None, parts: Sequence[str], args: Mapping[str, Any], **facts: Any
    ) -> ContestantInfo:
        """Return the info: what all such contestants share, and the given arguments and facts."""
        from baselines import stable_diffusion as sd

        pipeline = self._pipeline
        models = ("unet", "vae", "controlnet", "image_encoder", "text_encoder")
        return ContestantInfo(
            name=name,
            revision="1",
            parameters=sd.num_parameters([getattr(pipeline, model) for model in models]),
            licence=sd.LICENCE if checkpoint is None else "unknown",
            args={
                "steps": self._steps,
                "guidance": self._guidance,
                **args,
                "prompt": sd.PROMPT,
                "negative_prompt": sd.NEGATIVE_PROMPT,
                "ip_adapter_scale": sd.IP_ADAPTER_SCALE,
                "pose_picture": "openpose",
                "size": f"native {self._longer_side}, {FILTER}",
                "dtype": str(pipeline.unet.dtype).removeprefix("torch."),
            },
            weights=weights_of(name, checkpoint, parts),
            backbone=sd.BACKBONE if checkpoint is None else None,
            carry=0,
            **facts,
        )


def prepare(pipeline: Any, device: str) -> None:
    """Move a pipeline to its device and turn its progress bars off."""
    pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)


def device_and_dtype(device: str, half: str = "float16") -> tuple[str, torch.dtype]:
    """Return the device, checked, and the type of the weights: `half` on a GPU, float32 on the CPU.

    Raises:
        DeviceError: there is no such device.
    """
    import diffusers
    import torch
    import transformers

    from talkingpose.pipeline.device import pick_device

    # Remarks of these libraries would hide the one line of this project.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    device = pick_device(device)
    return device, getattr(torch, half) if device.startswith("cuda") else torch.float32


def weights_of(name: str, checkpoint: str | None, parts: Sequence[str]) -> tuple[ContestantWeights, ...]:
    """Return name and hash of a contestant's weight files.

    Args:
        name: of the contestant.
        checkpoint: folder of weights; None for the fetched files.
        parts: folders in `checkpoint` that the contestant uses.
    """
    if checkpoint is None:
        return locked_weights(name)
    root = weights_root(name, checkpoint)
    return tuple(
        ContestantWeights(f"{part}/{file.name}", file.sha256)
        for part in parts
        for file in weight_files(Path(root) / part)
    )
