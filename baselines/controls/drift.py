"""Control: the driving frames with increasing brightness. Tests if a metric detects a slow drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from baselines.arguments import no_checkpoint, number
from baselines.controls.driving import control_info, driving_frames, lockstep
from baselines.controls.offset import offset
from talkingpose.data.contestant import Case
from talkingpose.io.image import Image


class DriftControl:
    """Adds 0 levels to the first frame, `levels` to the last, and in between in proportion to time."""

    def __init__(self, *, checkpoint: str | None, device: str, levels: str | float = 30) -> None:
        no_checkpoint("drift", checkpoint)
        self._levels = number("levels", levels)
        self.info = control_info("drift", levels=self._levels)

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the drifting frames of the running cases."""
        return lockstep(cases, self._drifting)

    def _drifting(self, case: Case) -> Iterator[Image]:
        last = max(1, case.num_frames - 1)
        for index, image in enumerate(driving_frames(case)):
            yield offset(image, self._levels * index / last)
