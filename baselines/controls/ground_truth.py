"""Control: the driving frames unchanged. The scores of a perfect model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from baselines.arguments import no_checkpoint
from baselines.controls.driving import driving_frames, lockstep
from talkingpose.data.contestant import Case, ContestantInfo
from talkingpose.io.image import Image


class GroundTruthControl:
    """Yields the driving frames of each case, unchanged."""

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        no_checkpoint("ground-truth", checkpoint)
        self.info = ContestantInfo(
            name="ground-truth",
            revision="1",
            parameters=0,
            licence="Apache-2.0",
            window=1,
            batch_size=4,
            needs_driving_frames=True,
            control=True,
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the driving frames of the running cases."""
        return lockstep(cases, lambda case: iter(driving_frames(case)))
