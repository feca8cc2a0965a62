"""Control: the driving frames with constant extra brightness. Tests if a metric detects a steady error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from baselines.arguments import no_checkpoint, number
from baselines.controls.driving import control_info, driving_frames, lockstep
from baselines.controls.offset import offset
from talkingpose.data.contestant import Case
from talkingpose.io.image import Image


class BrightnessControl:
    """Adds `levels` of 0 to 255 to every value."""

    def __init__(self, *, checkpoint: str | None, device: str, levels: str | float = 15) -> None:
        no_checkpoint("brightness", checkpoint)
        self._levels = number("levels", levels)
        self.info = control_info("brightness", levels=self._levels)

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the brighter frames of the running cases."""
        return lockstep(cases, self._brighter)

    def _brighter(self, case: Case) -> Iterator[Image]:
        return (offset(image, self._levels) for image in driving_frames(case))
