"""Load a checkpoint onto a device, as the commands need it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from talkingpose.model.checkpoint_folder import CheckpointError, checkpoint_folder
from talkingpose.pipeline.device import pick_device

if TYPE_CHECKING:
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

DTYPES = ("auto", "float32", "float16", "bfloat16")


def load_pipeline(checkpoint: str | Path, device: str, dtype: str = "auto") -> TalkingPosePipeline:
    """Load a checkpoint for a command: quietly, on its device, in its precision.

    Args:
        checkpoint: as for `checkpoint_folder`, in the official or in the diffusers layout.
        device: as for `pick_device`.
        dtype: of the weights, `float32`, `float16` or `bfloat16`; `auto` is float16 on a GPU, as in the
            official inference, and float32 on the CPU.

    Raises:
        CheckpointError: there is no such checkpoint, or a file in it is not the model's.
        DeviceError: there is no such device.
    """
    if dtype not in DTYPES:
        raise CheckpointError(f"dtype {dtype}: unknown: give {', '.join(DTYPES)}")
    folder = checkpoint_folder(checkpoint)
    device = pick_device(device)
    import diffusers
    import torch
    import transformers

    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

    # Remarks of these libraries would hide the one line of this project.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    if dtype == "auto":
        dtype = "float16" if device.startswith("cuda") else "float32"
    pipeline = TalkingPosePipeline.from_pretrained(folder, getattr(torch, dtype))
    pipeline.to(device)
    if device.startswith("cuda"):
        pipeline.enable_channels_last()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def native_size(pipeline: TalkingPosePipeline, width: int, height: int) -> tuple[int, int]:
    """Return the size (width, height) at which the model works for frames of a given shape.

    The longer side is that of the model's training (`sample_size` of the UNet times the factor of the VAE),
    the shorter keeps the aspect, both are multiples of the factor of the VAE.
    """
    unit = pipeline.vae_scale_factor
    return scaled_size(width, height, int(pipeline.denoising_unet.config.sample_size) * unit, unit)


def scaled_size(width: int, height: int, longer: int, unit: int) -> tuple[int, int]:
    """Return the size (width, height) of an aspect with a given longer side, both multiples of `unit`."""
    scale = longer / max(width, height)
    native_width, native_height = (max(unit, round(side * scale / unit) * unit) for side in (width, height))
    return native_width, native_height
