"""Memory and CPU time of processes."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path


def peak_rss_mb(pid: int | None = None) -> float:
    """Peak of the resident memory of a process so far, in MiB; of this process if `pid` is None.

    Zero for a process that has ended. On macOS, for another process, the current value.
    """
    # On Linux, ru_maxrss of a child includes memory of its parent; VmHWM does not.
    status = Path(f"/proc/{'self' if pid is None else pid}/status")
    try:
        own = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M)
    except OSError:
        own = None
    if own is not None:
        return int(own[1]) / 2**10
    import psutil

    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0.0
    if sys.platform == "win32":
        return float(memory.peak_wset / 2**20)
    if pid is None:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return float(memory.rss / 2**20)


def peak_device_mb(device: str) -> float | None:
    """Peak of the device memory that torch allocated in this process, in MiB; None on the CPU."""
    if device == "cpu" or "torch" not in sys.modules:
        return None
    import torch

    return float(torch.cuda.max_memory_allocated(device) / 2**20)


class ProcessClock:
    """CPU time of a process, all its threads and its child processes.

    Children are looked up once a second. The time of a child that begins and ends in between counts if the
    process waited for it.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seconds: dict[int, float] = {}
        self._children: list[int] = []
        self._looked_up = -1.0
        self.since_last()

    def since_last(self) -> float:
        """Return the CPU seconds that were used since the last call."""
        now = time.monotonic()
        if now - self._looked_up > 1:
            self._children, self._looked_up = _children(self._pid), now
        used = 0.0
        for pid in (self._pid, *self._children):
            seconds = _cpu_seconds(pid)
            used += max(0.0, seconds - self._seconds.get(pid, seconds))
            self._seconds[pid] = seconds
        return used


def _children(pid: int) -> list[int]:
    """Return the processes below a process."""
    try:
        # A hundred times as fast as a search of all processes; not every kernel has these files.
        found = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
        return [*found, *(below for child in found for below in _children(child))]
    except OSError:
        pass
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _cpu_seconds(pid: int) -> float:
    if sys.platform == "linux":
        try:
            # Clock of another process, as clock_getcpuclockid(3) makes it: one call, in nanoseconds.
            return time.clock_gettime((~pid << 3) | 2)
        except OSError:
            return 0.0
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
