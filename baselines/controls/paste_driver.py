"""Control: the driving frames in place of a video of the portrait. The worst score of `leak`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from baselines.arguments import no_checkpoint
from baselines.controls.driving import control_info, driving_frames, lockstep
from talkingpose.data.contestant import Case
from talkingpose.io.image import Image


class PasteDriverControl:
    """Yields the frames of the driving clip, unchanged. In self-reenactment it equals `ground-truth`."""

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        no_checkpoint("paste-driver", checkpoint)
        self.info = control_info("paste-driver")

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the driving frames of the running cases."""
        return lockstep(cases, lambda case: iter(driving_frames(case)))
