"""Control: the driving frames with random brightness per frame. Tests if a metric detects fast changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from baselines.arguments import no_checkpoint, whole_number
from baselines.controls.driving import control_info, driving_frames, lockstep
from baselines.controls.offset import offset
from talkingpose.data.contestant import Case, case_seed
from talkingpose.io.image import Image


class FlickerControl:
    """Adds to each frame a whole number of levels drawn evenly from -`levels` to `levels`."""

    def __init__(self, *, checkpoint: str | None, device: str, levels: str | int = 6) -> None:
        no_checkpoint("flicker", checkpoint)
        self._levels = whole_number("levels", levels, least=1)
        self.info = control_info("flicker", levels=self._levels)

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the flickering frames of the running cases."""
        return lockstep(cases, partial(self._flickering, seed))

    def _flickering(self, seed: int, case: Case) -> Iterator[Image]:
        generator = np.random.default_rng(case_seed(seed, case.clip_id))
        for image in driving_frames(case):
            yield offset(image, int(generator.integers(-self._levels, self._levels + 1)))
