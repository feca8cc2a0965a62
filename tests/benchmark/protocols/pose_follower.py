"""A contestant that draws its keypoints: what it is given shows in its frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from talkingpose.data.contestant import Case, ContestantInfo, running
from talkingpose.io.image import Image


class PoseFollower:
    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        self.info = ContestantInfo(
            name="pose-follower", revision="1", parameters=0, licence="MIT", batch_size=4
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        poses = [iter(case.keypoints) for case in cases]
        for step in range(max(case.num_frames for case in cases)):
            yield [self._frame(cases[i], next(poses[i])) for i in running(cases, step)]

    def _frame(self, case: Case, keypoints: np.ndarray) -> Image:
        image = case.reference.copy()
        for x, y, confidence in keypoints:
            if confidence > 0:
                image[int(y * (case.height - 1)), int(x * (case.width - 1))] = 255
        return image
