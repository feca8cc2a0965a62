"""Hosts of contestants: where the code of a contestant runs, and what of it the evaluator relies on."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmark.runner.hosts.memory import peak_device_mb
from talkingpose.data.contestant import Case, Contestant, ContestantInfo
from talkingpose.data.contestant_loading import checked_info
from talkingpose.data.contestant_steps import PoseReader, Step, checked_steps
from talkingpose.io.errors import UserError


class Host(Protocol):
    """A contestant that can be run, and what it costs."""

    @property
    def info(self) -> ContestantInfo:
        """Info of the contestant, read once when it was created."""
        ...

    @property
    def isolated(self) -> bool:
        """True if the contestant runs in a process of its own."""
        ...

    def steps(self, cases: Sequence[Case], seed: int) -> Generator[Step, None, None]:
        """Run a batch; see `checked_steps`."""
        ...

    def poses_read(self) -> list[int]:
        """Number of keypoint arrays that were read of each case of the batch, up to the latest step."""
        ...

    def take_hidden_s(self) -> float:
        """Return the CPU seconds that the contestant used while nobody waited for it, and reset them."""
        ...

    def peak_rss_mb(self) -> float:
        """Peak of the resident memory of processes beside this one, in MiB."""
        ...

    def peak_device_mb(self, device: str) -> float | None:
        """Peak of the device memory, in MiB; None on the CPU."""
        ...

    def info_now(self) -> ContestantInfo | None:
        """Read the info again, None if it is invalid."""
        ...

    def close(self) -> None:
        """End the contestant."""
        ...


@dataclass
class InProcessHost:
    """A contestant in this process. It can reach everything that the evaluator holds."""

    contestant: Contestant
    info: ContestantInfo
    isolated: bool = False
    _poses: list[PoseReader] = field(default_factory=list)

    def steps(self, cases: Sequence[Case], seed: int) -> Generator[Step, None, None]:
        """Run a batch."""
        self._poses = [case.keypoints for case in cases if isinstance(case.keypoints, PoseReader)]
        return checked_steps(self.contestant, cases, seed)

    def poses_read(self) -> list[int]:
        """Number of keypoint arrays that were read of each case."""
        return [poses.num_read for poses in self._poses]

    def take_hidden_s(self) -> float:
        """Zero: the threads of a contestant cannot be told from those of the metrics."""
        return 0.0

    def peak_rss_mb(self) -> float:
        """Zero: there is no other process."""
        return 0.0

    def peak_device_mb(self, device: str) -> float | None:
        """Peak of the device memory of this process, in MiB."""
        return peak_device_mb(device)

    def info_now(self) -> ContestantInfo | None:
        """Read the info again."""
        try:
            return checked_info(self.contestant)
        except UserError:
            return None

    def close(self) -> None:
        """Do nothing."""
