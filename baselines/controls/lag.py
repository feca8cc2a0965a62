"""Control: the driving frames with a delay. Tests if a metric detects motion that is out of step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from baselines.arguments import no_checkpoint, whole_number
from baselines.controls.driving import control_info, driving_frames, lockstep
from talkingpose.data.contestant import Case
from talkingpose.io.image import Image


class LagControl:
    """Yields driving frame t - `frames` at time t, and the first one until then."""

    def __init__(self, *, checkpoint: str | None, device: str, frames: str | int = 1) -> None:
        no_checkpoint("lag", checkpoint)
        self._frames = whole_number("frames", frames, least=1)
        self.info = control_info("lag", frames=self._frames)

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the delayed frames of the running cases."""
        return lockstep(cases, self._late)

    def _late(self, case: Case) -> Iterator[Image]:
        images = iter(driving_frames(case))
        for first in itertools.islice(images, 1):
            yield from itertools.repeat(first, self._frames + 1)
        yield from images
