"""The memory that a run took."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    # Linux counts the parent's memory in a child's ru_maxrss; its own peak stands in /proc alone.
    status = Path("/proc/self/status")
    own = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M) if status.is_file() else None
    if own is not None:
        return int(own[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def peak_device_mb(device: str) -> float | None:
    """Most device memory that torch held so far, in MiB; None on the CPU."""
    if device == "cpu" or "torch" not in sys.modules:
        return None
    import torch

    return float(torch.cuda.max_memory_allocated(device) / 2**20)
