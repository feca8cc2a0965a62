"""A checkpoint by name becomes a pipeline on a device."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

from talkingpose.errors import UserError

if TYPE_CHECKING:
    from talkingpose.pipeline import TalkingPosePipeline

DEVICES = ("auto", "cpu", "cuda")
DEFAULT_CHECKPOINT = "tiny"
_BUNDLED = {"tiny": Path(__file__).parent / "checkpoints" / "tiny"}
_DRIVERS = ("libcuda.so.1", "libamdhip64.so")
_OFFICIAL_FILE = "denoising_unet.pth"
_DIFFUSERS_FILE = "model_index.json"


class LoadingError(UserError):
    """A checkpoint or a device that cannot be used."""


def pick_device(device: str) -> str:
    """`auto` becomes `cuda` where there is one, else `cpu`.

    Raises:
        LoadingError: there is no such device on this machine.
    """
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise LoadingError(f"device {device}: unknown: give {', '.join(DEVICES)} or cuda:N")
    if kind == "cpu" or (kind == "auto" and not _has_driver()):
        return "cpu"
    import torch

    if kind == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    number = device.partition(":")[2] or "0"
    if not number.isdecimal() or int(number) >= torch.cuda.device_count():
        raise LoadingError(
            f"device {device}: torch finds {torch.cuda.device_count()} CUDA devices: give --device cpu"
        )
    return device


def checkpoint_folder(checkpoint: str | Path) -> Path:
    """The folder of a checkpoint: a bundled one by its name (`tiny`), any other as it is.

    Raises:
        LoadingError: there is no such folder, or it holds weights of neither layout.
    """
    bundled = _BUNDLED.get(str(checkpoint))
    folder = bundled or Path(checkpoint)
    if not folder.is_dir():
        raise LoadingError(
            f"checkpoint {checkpoint}: is not part of this installation: "
            f"give --checkpoint FOLDER, or make one with tp-train --config {checkpoint}"
            if bundled
            else f"checkpoint {checkpoint}: no such folder: give one with the weights of a model"
        )
    if not any((folder / name).is_file() for name in (_OFFICIAL_FILE, _DIFFUSERS_FILE)):
        raise LoadingError(
            f"checkpoint {checkpoint}: neither {_OFFICIAL_FILE} (official layout) nor {_DIFFUSERS_FILE} "
            "(diffusers' layout) lies in it: give the folder that holds one of them"
        )
    return folder


def load_pipeline(checkpoint: str | Path, device: str) -> TalkingPosePipeline:
    """Load a checkpoint: half precision on a GPU, float32 on the CPU.

    Args:
        checkpoint: `tiny`, the bundled one, or a folder in the official layout (`denoising_unet.pth`, ...) or
            in diffusers' layout (`model_index.json`, ...).
        device: as `pick_device` takes it.

    Raises:
        LoadingError: there is no such checkpoint, or it cannot be read.
        CheckpointError: a file in it is not the model's.
    """
    folder = checkpoint_folder(checkpoint)
    device = pick_device(device)
    import diffusers
    import torch
    import transformers

    from talkingpose.pipeline import TalkingPosePipeline

    # Their progress bars and remarks on parts that nobody asked for would drown this project's one line.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    try:
        if (folder / _DIFFUSERS_FILE).is_file():
            pipeline = TalkingPosePipeline.from_pretrained(folder, local_files_only=True)
        else:
            pipeline = TalkingPosePipeline.from_official(folder)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise LoadingError(f"checkpoint {checkpoint}: cannot be read: {error}") from error
    pipeline.to(device, dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def native_size(pipeline: TalkingPosePipeline, width: int, height: int) -> tuple[int, int]:
    """The size (width, height) at which the model works for frames of a given shape.

    The longer side is that of the model's training (`sample_size` of the UNet times the VAE's factor), the
    shorter keeps the aspect, both are multiples of the VAE's factor.
    """
    unit = int(pipeline.vae_scale_factor)
    longer = int(pipeline.denoising_unet.config.sample_size) * unit
    scale = longer / max(width, height)
    return tuple(max(unit, round(side * scale / unit) * unit) for side in (width, height))  # type: ignore[return-value]


def _has_driver() -> bool:
    # Asking torch takes the seconds of its import, and not everything that asks needs it.
    for library in _DRIVERS:
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return False
