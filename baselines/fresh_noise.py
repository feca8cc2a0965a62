"""TalkingPose without feedback and with new noise for every frame: the baseline of its method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from baselines.talkingpose_model import OpenLoop
from talkingpose.data.contestant import Case, running
from talkingpose.io.image import Image

if TYPE_CHECKING:
    import torch


class FreshNoise(OpenLoop):
    """TalkingPose without feedback, with new noise for every frame.

    The noise of frame k is the k-th draw from the case's generator: a matter of the case's seed and k alone.
    Frame 0 is that of `open-loop`.
    """

    name = "fresh-noise"

    def _frames(
        self, cases: Sequence[Case], size: tuple[int, int], generators: Sequence[torch.Generator]
    ) -> Iterator[list[Image]]:
        width, height = size
        pipeline = self._pipeline
        pictures = [self._pose_pictures(case, size) for case in cases]
        reference = pipeline.encode_reference([case.reference for case in cases], height, width)
        rows = list(range(len(cases)))
        for step in range(max(case.num_frames for case in cases)):
            still = running(cases, step)
            if len(still) < len(rows):
                reference = reference.select([rows.index(row) for row in still])
                rows = still
            noise = pipeline.prepare_noise(len(rows), height, width, [generators[row] for row in rows])
            feature = pipeline.encode_pose([next(pictures[row]) for row in rows])
            final = pipeline.denoise(noise, feature, reference, self._steps, self._guidance)
            yield pipeline.decode(final)  # type: ignore[misc]
