"""A complete contestant: the portrait, moved by the driving nose.

Run it from this folder on the bundled dataset:

    tp-eval --model my_contestant:MyModel --limit 1

To register it under a name, add the entry point to the pyproject.toml of its package:

    [project.entry-points."talkingpose.contestants"]
    moved-portrait = "my_package.my_contestant:MyModel"

Then `tp-eval --model moved-portrait` finds it, and `tp-eval ls contestants` lists it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from talkingpose import Case, ContestantInfo
from talkingpose.data.contestant import Keypoints, running
from talkingpose.io.image import Image

NOSE = 0


class MyModel:
    """Shifts the portrait by the movement of the nose since the first frame."""

    def __init__(self, *, checkpoint: str | None, device: str, strength: str = "1") -> None:
        # A real model loads the weights of `checkpoint` to `device` here.
        self.strength = float(strength)  # from --model-args strength=0.5
        self.info = ContestantInfo(
            name="moved-portrait",
            revision="1",
            parameters=0,
            licence="Apache-2.0",
            batch_size=4,
            args={"strength": self.strength},
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield one uint8 RGB frame per running case and time step."""
        poses = [iter(case.keypoints) for case in cases]
        first: dict[int, Keypoints] = {}
        for step in range(max(case.num_frames for case in cases)):
            frames = []
            for index in running(cases, step):
                pose = next(poses[index])
                frames.append(self.moved(cases[index], first.setdefault(index, pose), pose))
            yield frames

    def moved(self, case: Case, start: Keypoints, pose: Keypoints) -> Image:
        """Shift the portrait; x and y of a keypoint are in [0, 1]."""
        x, y = self.strength * (pose[NOSE, :2] - start[NOSE, :2])
        return np.roll(
            case.reference, (round(float(y) * case.height), round(float(x) * case.width)), axis=(0, 1)
        )


if __name__ == "__main__":
    from benchmark import evaluate

    run = evaluate(MyModel(checkpoint=None, device="cpu"), limit=1, max_frames=101, out="runs/mine")
    print(run.metrics["psnr"].value, run.metrics["motion_ratio"].value)
