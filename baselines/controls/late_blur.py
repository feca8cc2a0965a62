"""Control: the driving frames with blur near the end. Tests if a metric detects a late collapse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from baselines.arguments import no_checkpoint, number
from baselines.controls.driving import control_info, driving_frames, lockstep
from talkingpose.data.contestant import Case, ContestantError
from talkingpose.io.image import Image


class LateBlurControl:
    """Blurs the frames of the last `share` of a clip by a Gaussian of `sigma` pixels."""

    def __init__(
        self, *, checkpoint: str | None, device: str, sigma: str | float = 6, share: str | float = 0.25
    ) -> None:
        no_checkpoint("late-blur", checkpoint)
        self._sigma, self._share = number("sigma", sigma), number("share", share)
        if self._sigma <= 0 or not 0 <= self._share <= 1:
            raise ContestantError(
                f"--model-args sigma={sigma},share={share}: give a positive sigma, a share from 0 to 1"
            )
        self.info = control_info("late-blur", sigma=self._sigma, share=self._share)

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the frames of the running cases."""
        return lockstep(cases, self._blurred)

    def _blurred(self, case: Case) -> Iterator[Image]:
        import cv2

        first = case.num_frames - round(self._share * case.num_frames)
        for index, image in enumerate(driving_frames(case)):
            yield image if index < first else np.asarray(cv2.GaussianBlur(image, (0, 0), self._sigma))
