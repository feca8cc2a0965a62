"""What a case is made of: its portrait, its poses and, where there are any, its real frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.runner.plan import Pair, PlannedCase
from benchmark.runner.reference_video import ReferenceVideo
from talkingpose.data.clips import ClipDataset
from talkingpose.data.schema import DatasetError
from talkingpose.media import MediaError

Image = npt.NDArray[np.uint8]
Keypoints = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CaseInputs:
    """Portrait, uint8 RGB (H, W, 3); poses, float32 (num_frames, 133, 3); real frames, if there are any."""

    reference: Image
    keypoints: Keypoints
    footage: ReferenceVideo | None

    def close(self) -> None:
        """Close the decoder of the real frames."""
        if self.footage is not None:
            self.footage.close()


def prepare_inputs(dataset: ClipDataset, planned: PlannedCase) -> CaseInputs:
    """Read what the case needs; the real frames are decoded as they are asked for.

    Raises:
        DatasetError: the poses or the video are not what the dataset says.
        MediaError: the video cannot be opened or has no frame.
    """
    clip = planned.clip if planned.pair is None else planned.pair.portrait
    size = (planned.width, planned.height) if planned.scaled else None
    footage = ReferenceVideo(dataset.video(clip), size, f"clip {clip.clip_id}")
    try:
        reference = footage.first()
        if reference is None:
            raise MediaError(f"clip {clip.clip_id}: its video has no frame: curate it again")
        if planned.pair is None:
            return CaseInputs(reference, dataset.keypoints(clip)[: planned.num_frames], footage)
        poses = _poses(dataset, planned.pair, planned.width / planned.height)
    except BaseException:
        footage.close()
        raise
    footage.close()
    return CaseInputs(reference, poses[: planned.num_frames], None)


def _poses(dataset: ClipDataset, pair: Pair, aspect: float) -> Keypoints:
    """The driving poses; lengths are measured in the portrait and in the driving clip's fullest frame."""
    driving = dataset.keypoints(pair.driving)
    if not pair.retarget:
        return driving
    from talkingpose.pose.retarget import fullest_frame, retarget

    driver, portrait = driving[fullest_frame(driving)], dataset.keypoints(pair.portrait)[0]
    try:
        return retarget(driving, driver, portrait, aspect=aspect)
    except ValueError as error:
        raise DatasetError(f"clips {pair.portrait.clip_id}, {pair.driving.clip_id}: {error}") from error
