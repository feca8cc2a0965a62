"""Where a pipeline runs: device, precision, and what is done where memory is short."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from talkingpose.io.errors import UserError

if TYPE_CHECKING:
    from talkingpose.pipeline.pipeline import TalkingPosePipeline

Precision = Literal["auto", "float32", "bfloat16", "float16"]

# Memory of the pictures inside UNet and VAE, for one frame: an estimate from the sizes of Stable Diffusion
# 1.5 at 512 x 512 in half precision, guidance, the decoder's widest level five times over: 1.6 GB. Measured
# were 1.1, and 2.8 compiled, as CUDA graphs keep memory of their own (docs/explanation/performance.md).
_WORK_PER_PIXEL = 6 * 1024
_COMPILED = 2
_HALF = 2


class DeviceError(UserError):
    """A device, precision or option that cannot be had together."""


@dataclass(frozen=True)
class Placement:
    """Where and how a pipeline runs.

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


def precision_of(precision: Precision, device: str) -> str:
    """The type of the weights; `auto`: float16 on a GPU, float32 on the CPU."""
    if precision != "auto":
        return precision
    return "float32" if device == "cpu" else "float16"


def check_offload(device: str, cpu_offload: bool | None) -> None:
    """Refuse to leave on the CPU what runs there.

    Raises:
        PlacementError: `cpu_offload` on the CPU.
    """
    if cpu_offload and device == "cpu":
        raise DeviceError("--cpu-offload: the model runs on the CPU already: leave it out")


def check_compiled(cpu_offload: bool | None) -> None:
    """Refuse to compile where that cannot be done.

    Raises:
        PlacementError: parts are to wait on the CPU, or there is no C++ compiler.
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
    """Choose what fits into memory.

    Args:
        device: `cpu`, `cuda` or `cuda:N`.
        dtype: of the weights.
        weights: their size in bytes.
        pixels: of a frame.
        free: bytes: of the GPU before the weights are there, or of the host with the weights loaded.
        cpu_offload: True or False as asked for; None decides by memory.
        compiled: as asked for.

    Raises:
        PlacementError: `cpu_offload` on the CPU, or `compiled` where not all parts fit into memory.
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
    """Bring a pipeline that was loaded on the CPU to its device, in a way that fits into memory.

    Raises:
        PlacementError: as for `choose_placement`.
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
