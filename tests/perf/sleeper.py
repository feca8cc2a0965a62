"""A contestant that waits for each frame as for a GPU, without processor time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from talkingpose.data.contestant import Case, ContestantInfo
from talkingpose.io.image import Image


class Sleeper:
    """The portrait, after `sleep` seconds a frame."""

    def __init__(self, *, checkpoint: str | None, device: str, sleep: str) -> None:
        self._sleep = float(sleep)
        self.info = ContestantInfo(
            name="sleeper", revision="1", parameters=0, licence="MIT", args={"sleep": sleep}
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the portrait of the only case of a batch."""
        (case,) = cases
        for _ in range(case.num_frames):
            time.sleep(self._sleep)
            yield [case.reference]
