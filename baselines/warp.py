"""Layered puppet of the portrait, moved by the keypoints without a network: what a model must beat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from baselines.arguments import no_checkpoint
from talkingpose.data.contestant import Case, ContestantInfo, running
from talkingpose.io.image import Image
from talkingpose.warp.look_ahead import with_steady_torso
from talkingpose.warp.portrait_pose import portrait_pose
from talkingpose.warp.puppet import Puppet

REVISION: Final = "2"


class Warp:
    """Contestant that moves the portrait in layers (docs/reference/warp.md). It reads no driving frames."""

    def __init__(self, *, checkpoint: str | None, device: str) -> None:
        no_checkpoint("warp", checkpoint)
        self.info = ContestantInfo(
            name="warp",
            revision=REVISION,
            parameters=0,
            licence="Apache-2.0",
            window=1,
            batch_size=4,
        )

    def animate(self, cases: Sequence[Case], *, seed: int) -> Iterator[list[Image]]:
        """Yield the frames of the running cases; a case depends on its own portrait and poses alone."""
        poses = [with_steady_torso(case.keypoints, float(case.fps)) for case in cases]
        puppets: dict[int, Puppet] = {}
        for step in range(max(case.num_frames for case in cases)):
            images = []
            for index in running(cases, step):
                case, keypoints = cases[index], next(poses[index])
                if index not in puppets:
                    pose = portrait_pose(case.reference, keypoints)
                    puppets[index] = Puppet(case.reference, pose, float(case.fps), smooth_torso=False)
                images.append(puppets[index].frame(keypoints))
            yield images
