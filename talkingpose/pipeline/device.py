"""Device, precision and memory savings of a pipeline."""

from __future__ import annotations

import ctypes
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    from talkingpose.pipeline.talkingpose_pipeline import TalkingPosePipeline

DEVICES = ("auto", "cpu", "cuda")
Precision = Literal["auto", "float32", "bfloat16", "float16"]

_DRIVERS = ("libcuda.so.1", "libamdhip64.so", "nvcuda.dll")
# Memory of the activations of UNet and VAE for one frame: an estimate from the sizes of Stable Diffusion 1.5
# at 512 x 512 in half precision, guidance, the decoder's widest level five times over: 1.6 GB. Measured were
# 1.1, and 2.8 compiled, as CUDA graphs keep memory of their own (docs/explanation/generation-speed.md).
_WORK_PER_PIXEL = 6 * 1024
_COMPILED = 2
_HALF = 2


class DeviceError(UserError):
    """A device that is not available, or options that exclude each other."""


@dataclass(frozen=True)
class Placement:
    """Device and memory savings of a pipeline.

    Attributes:
        device: `cpu`, `cuda` or `cuda:N`.
        dtype: `float32`, `bfloat16` or `float16`.
        offload: parts wait in the memory of the host, one at a time is on the GPU.
        tiling: the VAE decodes a frame in overlapping tiles; their seams are blended.
        compiled: `torch.compile` before the first frame, on a GPU with CUDA graphs.
    """

    device: str
    dtype: str
    offload: bool = False
    tiling: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        extras = [", parts wait on the CPU"] * self.offload + [", VAE in tiles"] * self.tiling
        extras += [", compiled before the first frame, which takes minutes"] * self.compiled
        return f"{self.device}, {self.dtype}{''.join(extras)}"


def pick_device(device: str) -> str:
    """Resolve `auto` to `cuda` where there is one, else `cpu`; check any other name.

    Raises:
        DeviceError: there is no such device on this machine.
    """
    kind, _, number = device.partition(":")
    if kind not in DEVICES:
        raise DeviceError(f"device {device}: unknown: give {', '.join(DEVICES)} or cuda:N")
    if kind == "cpu" or (kind == "auto" and not _has_driver()):
        return "cpu"
    import torch

    if kind == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    number = number or "0"
    if not number.isdecimal() or int(number) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {device}: torch finds {torch.cuda.device_count()} CUDA devices: give --device cpu"
        )
    return device


def precision_of(precision: Precision, device: str) -> str:
    """Return the type of the weights; `auto`: float16 on a GPU, float32 on the CPU."""
    if precision != "auto":
        return precision
    return "float32" if device == "cpu" else "float16"


def check_offload(device: str, cpu_offload: bool | None) -> None:
    """Refuse CPU offload for a model that runs on the CPU.

    Raises:
        DeviceError: `cpu_offload` on the CPU.
    """
    if cpu_offload and device == "cpu":
        raise DeviceError("--cpu-offload: the model runs on the CPU already: leave it out")


def check_compiled(cpu_offload: bool | None) -> None:
    """Refuse to compile with CPU offload or without a C++ compiler.

    Raises:
        DeviceError: naming which of them.
    """
    if cpu_offload:
        raise DeviceError("--compile: not together with --cpu-offload: leave one of them out")
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise DeviceError(
            f"--compile: there is no {compiler} on the path: install it (Debian, Ubuntu: g++), "
            "name another compiler in CXX, or leave the option out"
        )


def choose_placement(
    device: str,
    dtype: str,
    *,
    weights: int,
    pixels: int,
    free: int,
    cpu_offload: bool | None = None,
    compiled: bool = False,
) -> Placement:
    """Choose a placement that fits into memory.

    Args:
        device: `cpu`, `cuda` or `cuda:N`.
        dtype: of the weights.
        weights: their size in bytes.
        pixels: of a frame.
        free: bytes, of the GPU before the weights are loaded, or of the host with the weights loaded.
        cpu_offload: requested value; None decides by memory.
        compiled: requested value.

    Raises:
        DeviceError: `cpu_offload` on the CPU, or `compiled` where not all parts fit into memory.
    """
    size = 4 if dtype == "float32" else _HALF
    work = pixels * _WORK_PER_PIXEL * size // _HALF
    if device == "cpu":
        check_offload(device, cpu_offload)
        return Placement(device, dtype, tiling=free < work, compiled=compiled)
    if cpu_offload is None:
        cpu_offload = free < weights + work // 2
    if compiled and (cpu_offload or free < weights + _COMPILED * work):
        raise DeviceError(f"--compile: the model does not fit into the memory of {device}: leave it out")
    tiling = free < (0 if cpu_offload else weights) + work
    return Placement(device, dtype, cpu_offload, tiling, compiled)


def place(
    pipeline: TalkingPosePipeline,
    device: str,
    *,
    pixels: int,
    cpu_offload: bool | None = None,
    compiled: bool = False,
) -> Placement:
    """Move a pipeline from the CPU to its device, with a placement that fits into memory.

    Raises:
        DeviceError: as for `choose_placement`.
    """
    import torch

    models = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    weights = sum(tensor.nbytes for model in models for tensor in model.parameters())
    dtype = str(pipeline.denoising_unet.dtype).removeprefix("torch.")
    chosen = choose_placement(
        device,
        dtype,
        weights=weights,
        pixels=pixels,
        free=_free(device),
        cpu_offload=cpu_offload,
        compiled=compiled,
    )
    if chosen.tiling:
        pipeline.vae.enable_tiling()
    if device != "cpu":
        pipeline.enable_channels_last()
    if chosen.offload:
        pipeline.enable_model_cpu_offload(device=device)
    elif device != "cpu":
        pipeline.to(device)
    if chosen.compiled:
        pipeline.enable_compile(cuda_graphs=device != "cpu")
    return chosen


def _free(device: str) -> int:
    if device == "cpu":
        import psutil

        return int(psutil.virtual_memory().available)
    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def _has_driver() -> bool:
    # The import of torch takes seconds, and a machine without a driver does not need it.
    for library in _DRIVERS:
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return False
