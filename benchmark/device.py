"""Which device a run uses, and what it took there."""

from __future__ import annotations

import ctypes
import resource
import sys

from benchmark.errors import EvaluationError

DEVICES = ("auto", "cpu", "cuda")
_DRIVERS = ("libcuda.so.1", "libamdhip64.so")


def resolve_device(name: str) -> str:
    """`auto` becomes `cuda` where there is such a device, else `cpu`.

    Raises:
        EvaluationError: no such name, or no such device.
    """
    if name not in DEVICES:
        raise EvaluationError(f"--device {name}: not known: choose one of {', '.join(DEVICES)}")
    if name == "cpu" or (name == "auto" and not _has_driver()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise EvaluationError("--device cuda: there is none that torch can use: give --device cpu")
    return "cpu"


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def peak_device_mb(device: str) -> float | None:
    """Most device memory that torch held so far, in MiB; None on the CPU."""
    if device == "cpu" or "torch" not in sys.modules:
        return None
    import torch

    return float(torch.cuda.max_memory_allocated() / 2**20)


def _has_driver() -> bool:
    # Asking torch takes seconds to import it, and the controls need no torch.
    for library in _DRIVERS:
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return False
