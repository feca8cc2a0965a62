"""TalkingPose itself, closed loop and open loop, as contestants."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from baselines.settings import number, whole_number
from talkingpose.contestant import Case, ContestantError, ContestantInfo, Image, WeightFile, case_seed

if TYPE_CHECKING:
    from talkingpose.pipeline import TalkingPosePipeline

FILTER: Final = "lanczos"
REVISION = "1"
_WEIGHT_SUFFIXES = (".pth", ".safetensors", ".bin")


class TalkingPose:
    """TalkingPose at the native size of its UNet, with the feedback gain of the paper.

    Args:
        checkpoint: a folder in the official layout or in diffusers' layout.
        device: `cpu` (float32) or `cuda` (float16).
        steps: DDIM steps of a frame.
        guidance: classifier-free guidance scale.
        gain: of the feedback loop, beta in the paper.

    Raises:
        ContestantError: no checkpoint, one that cannot be read, or a setting that is no number.
    """

    name = "talkingpose"
    default_gain = 0.05

    def __init__(
        self,
        *,
        checkpoint: str | None,
        device: str,
        steps: str | int = 30,
        guidance: str | float = 3.5,
        gain: str | float | None = None,
    ) -> None:
        self._steps = whole_number("steps", steps, least=1)
        self._guidance = number("guidance", guidance)
        self._gain = self.default_gain if gain is None else number("gain", gain)
        folder = _checkpoint_folder(self.name, checkpoint)
        self._pipeline = _load(folder, device)
        unet = self._pipeline.denoising_unet
        self._native = int(unet.config.sample_size) * self._pipeline.vae_scale_factor
        models = ("vae", "image_encoder", "reference_unet", "denoising_unet", "pose_guider")
        self.info = ContestantInfo(
            name=self.name,
            revision=REVISION,
            parameters=sum(p.numel() for m in models for p in getattr(self._pipeline, m).parameters()),
            licence="unknown",
            window=1,
            batch_size=4 if device == "cuda" else 1,
            args={
                "steps": self._steps,
                "guidance": self._guidance,
                "gain": self._gain,
                "size": f"native {self._native}, {FILTER}",
                "dtype": str(unet.dtype).removeprefix("torch."),
            },
            weights=_weight_files(folder),
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Frames of the cases that still run, made at the native size and resized to the case's.

        The poses are drawn at the native size; the noise of a case comes from its own seed, on the CPU.
        """
        import torch

        from talkingpose.media import resize_image

        width, height = cases[0].width, cases[0].height
        size = native_size(width, height, self._native, self._pipeline.vae_scale_factor)
        generators = [torch.Generator("cpu").manual_seed(case_seed(seed, case.clip_id)) for case in cases]
        stream = self._pipeline.stream(
            [case.reference for case in cases],
            [_poses(case, size) for case in cases],
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            gain=self._gain,
            generator=generators,
        )
        for images in stream:
            yield [
                image if size == (width, height) else resize_image(image, (width, height), FILTER)
                for image in images
            ]


class OpenLoop(TalkingPose):
    """The same model without feedback: every frame starts from the same noise."""

    name = "open-loop"
    default_gain = 0.0

    def __init__(
        self, *, checkpoint: str | None, device: str, steps: str | int = 30, guidance: str | float = 3.5
    ) -> None:
        super().__init__(checkpoint=checkpoint, device=device, steps=steps, guidance=guidance)


def native_size(width: int, height: int, longer_side: int, multiple: int) -> tuple[int, int]:
    """Width and height with the given longer side, the aspect ratio kept up to rounding to `multiple`."""
    scale = longer_side / max(width, height)
    return tuple(max(1, round(side * scale / multiple)) * multiple for side in (width, height))  # type: ignore[return-value]


def _poses(case: Case, size: tuple[int, int]) -> Iterator[Image]:
    from talkingpose.pose import draw_pose

    for keypoints in case.keypoints:
        yield draw_pose(keypoints, size[1], size[0])


def _checkpoint_folder(name: str, checkpoint: str | None) -> Path:
    if checkpoint is None:
        raise ContestantError(
            f"--model {name}: needs --checkpoint: a folder in the official layout (denoising_unet.pth, "
            "reference_unet.pth, pose_guider.pth) or in diffusers' layout"
        )
    folder = Path(checkpoint)
    if not folder.is_dir():
        raise ContestantError(f"--checkpoint {checkpoint}: no such folder: give the folder of the weights")
    return folder


def _load(folder: Path, device: str) -> TalkingPosePipeline:
    import diffusers
    import torch
    import transformers

    from talkingpose.checkpoint import CheckpointError
    from talkingpose.pipeline import TalkingPosePipeline

    # Their bars and remarks on loading would stand above the first line of the run.
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    dtype = torch.float16 if device == "cuda" else torch.float32
    try:
        if (folder / "model_index.json").is_file():
            pipeline = TalkingPosePipeline.from_pretrained(folder, local_files_only=True)
        else:
            pipeline = TalkingPosePipeline.from_official(folder)
    except CheckpointError as error:
        raise ContestantError(str(error)) from error
    except (OSError, ValueError) as error:
        raise ContestantError(f"--checkpoint {folder}: cannot be read: {error}") from error
    return pipeline.to(device, dtype)


def _weight_files(folder: Path) -> tuple[WeightFile, ...]:
    """Name and hash of every weight file under a folder, sorted by name."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _WEIGHT_SUFFIXES:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.append(WeightFile(path.relative_to(folder).as_posix(), digest))
    return tuple(found)
