"""Inputs of a case: portrait, poses and real frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.runner.plan import Pair, PlannedCase
from benchmark.runner.reference_video import ReferenceVideo
from talkingpose.data.clips import ClipDataset
from talkingpose.data.schema import DatasetError
from talkingpose.io.image import Image
from talkingpose.media import MediaError

Keypoints = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CaseInputs:
    """Inputs of a case.

    Attributes:
        reference: portrait, uint8 RGB (height, width, 3).
        keypoints: poses, float32 (num_frames, 133, 3).
        real_video: real frames; None in cross-reenactment, which has none.
    """

    reference: Image
    keypoints: Keypoints
    real_video: ReferenceVideo | None

    def close(self) -> None:
        """Close the decoder of the real frames."""
        if self.real_video is not None:
            self.real_video.close()


def prepare_inputs(dataset: ClipDataset, planned: PlannedCase) -> CaseInputs:
    """Read the inputs of a case; the real frames are decoded on demand.

    Raises:
        DatasetError: keypoints or video differ from the row of the dataset.
        MediaError: the video cannot be opened or has no frame.
    """
    clip = planned.clip if planned.pair is None else planned.pair.portrait
    size = (planned.width, planned.height) if planned.scaled else None
    video = ReferenceVideo(dataset.video(clip), size, f"clip {clip.clip_id}")
    try:
        reference = video.first()
        if reference is None:
            raise MediaError(f"clip {clip.clip_id}: its video has no frame: curate it again")
        if planned.pair is None:
            return CaseInputs(reference, dataset.keypoints(clip)[: planned.num_frames], video)
        poses = _poses(dataset, planned.pair, planned.width / planned.height)
    except BaseException:
        video.close()
        raise
    video.close()
    return CaseInputs(reference, poses[: planned.num_frames], None)


def _poses(dataset: ClipDataset, pair: Pair, aspect: float) -> Keypoints:
    """Return the driving poses, retargeted to the portrait if the protocol says so."""
    driving = dataset.keypoints(pair.driving)
    if not pair.retarget:
        return driving
    from talkingpose.pose.retarget import fullest_frame, retarget

    driver, portrait = driving[fullest_frame(driving)], dataset.keypoints(pair.portrait)[0]
    try:
        return retarget(driving, driver, portrait, aspect=aspect)
    except ValueError as error:
        raise DatasetError(f"clips {pair.portrait.clip_id}, {pair.driving.clip_id}: {error}") from error
