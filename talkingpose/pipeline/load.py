"""A checkpoint by name becomes a pipeline on a device."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    from talkingpose.pipeline.pipeline import TalkingPosePipeline

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "float16", "bfloat16")
DEFAULT_CHECKPOINT = "tiny"
# The published weights, in the folder of `talkingpose.weights`.
HUB_CHECKPOINT = "hub"
_BUNDLED = {"tiny": Path(__file__).parents[1] / "checkpoints" / "tiny"}
# In the lock file of `talkingpose.weights`: who uses its files, and the folder they lie in.
_HUB_USER = "talkingpose"
_DRIVERS = ("libcuda.so.1", "libamdhip64.so")
_OFFICIAL_FILE = "denoising_unet.pth"
_DIFFUSERS_FILE = "model_index.json"


class LoadError(UserError):
    """A checkpoint or a device that cannot be used."""


def pick_device(device: str) -> str:
    """`auto` becomes `cuda` where there is one, else `cpu`.

    Raises:
        LoadingError: there is no such device on this machine.
    """
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise LoadError(f"device {device}: unknown: give {', '.join(DEVICES)} or cuda:N")
    if kind == "cpu" or (kind == "auto" and not _has_driver()):
        return "cpu"
    import torch

    if kind == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    number = device.partition(":")[2] or "0"
    if not number.isdecimal() or int(number) >= torch.cuda.device_count():
        raise LoadError(
            f"device {device}: torch finds {torch.cuda.device_count()} CUDA devices: give --device cpu"
        )
    return device


def checkpoint_folder(checkpoint: str | Path) -> Path:
    """The folder of a checkpoint; nothing is downloaded.

    Args:
        checkpoint: `tiny`, the bundled one; `hub`, the published one as `tp-eval weights fetch` brought it;
            or a folder.

    Raises:
        LoadingError: there is no such folder, or it holds weights of neither layout.
    """
    if str(checkpoint) == HUB_CHECKPOINT:
        return _hub_folder()
    bundled = _BUNDLED.get(str(checkpoint))
    folder = bundled or Path(checkpoint)
    if not folder.is_dir():
        raise LoadError(
            f"checkpoint {checkpoint}: is not part of this installation: "
            f"give --checkpoint FOLDER, or make one with tp-train --config {checkpoint}"
            if bundled
            else f"checkpoint {checkpoint}: no such folder: give one with the weights of a model, tiny or hub"
        )
    if not any((folder / name).is_file() for name in (_OFFICIAL_FILE, _DIFFUSERS_FILE)):
        raise LoadError(
            f"checkpoint {checkpoint}: neither {_OFFICIAL_FILE} (official layout) nor {_DIFFUSERS_FILE} "
            "(diffusers' layout) lies in it: give the folder that holds one of them"
        )
    return folder


def load_pipeline(checkpoint: str | Path, device: str, dtype: str = "auto") -> TalkingPosePipeline:
    """Load a checkpoint.

    Args:
        checkpoint: as `checkpoint_folder` takes it, in the official layout (`denoising_unet.pth`, ...) or in
            diffusers' layout (`model_index.json`, ...).
        device: as `pick_device` takes it.
        dtype: of the weights, `float32`, `float16` or `bfloat16`; `auto` is float16 on a GPU, as the official
            inference has it, and float32 on the CPU.

    Raises:
        LoadingError: there is no such checkpoint, or it cannot be read.
        CheckpointError: a file in it is not the model's.
    """
    if dtype not in DTYPES:
        raise LoadError(f"dtype {dtype}: unknown: give {', '.join(DTYPES)}")
    folder = checkpoint_folder(checkpoint)
    device = pick_device(device)
    import torch

    if dtype == "auto":
        dtype = "float16" if device.startswith("cuda") else "float32"
    pipeline = read_pipeline(folder)
    pipeline.to(device, getattr(torch, dtype))
    if device.startswith("cuda"):
        pipeline.enable_channels_last()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def read_pipeline(folder: Path) -> TalkingPosePipeline:
    """Read a checkpoint of either layout onto the CPU; everything in it is checked.

    The weights keep the type of the official files; of diffusers' layout they come in float32.

    Args:
        folder: from `checkpoint_folder`.

    Raises:
        LoadingError: it cannot be read.
        CheckpointError: a file in it is not the model's.
    """
    import diffusers
    import transformers

    from talkingpose.model.official_checkpoint import check_saved
    from talkingpose.pipeline.pipeline import TalkingPosePipeline

    # Their progress bars and remarks on parts that nobody asked for would drown this project's one line.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    if not (folder / _DIFFUSERS_FILE).is_file():
        return TalkingPosePipeline.from_official(folder)
    check_saved(folder)
    try:
        pipeline: TalkingPosePipeline = TalkingPosePipeline.from_pretrained(folder, local_files_only=True)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise LoadError(f"checkpoint {folder}: cannot be read: {error}") from error
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


def _hub_folder() -> Path:
    from talkingpose.weights import files_for, status, weights_folder

    lacking = [entry for entry in files_for(_HUB_USER) if status(entry.id).state in ("missing", "damaged")]
    if lacking:
        known = sum(entry.size or 0 for entry in lacking) / 1e9
        unknown = sum(entry.size is None for entry in lacking)
        raise LoadError(
            f"checkpoint {HUB_CHECKPOINT}: {len(lacking)} of its files are not here ({known:.1f} GB, and "
            f"{unknown} files whose size is not published): "
            f"tp-eval weights fetch --for {_HUB_USER} --accept-licence"
        )
    return weights_folder() / _HUB_USER
