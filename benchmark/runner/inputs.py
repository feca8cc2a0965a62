"""Inputs of a case: portrait, poses and real frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.protocols.perturbations import perturb
from benchmark.runner.plan import Pair, PlannedCase
from benchmark.runner.reference_video import ReferenceVideo
from talkingpose.data.clips import Clip, ClipDataset
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
        driver_video: frames of the driving clip at the size of the case; in self-reenactment the real frames.
            None in cross-reenactment unless it was asked for.
        scored_keypoints: poses that metrics see, float32 (num_frames, 133, 3): `keypoints`, but unperturbed.
        driver_keypoints: poses of the driving clip as detected, float32 (num_frames, 133, 3); in
            cross-reenactment `keypoints` may be retargeted.
    """

    reference: Image
    keypoints: Keypoints
    real_video: ReferenceVideo | None
    driver_video: ReferenceVideo | None
    driver_keypoints: Keypoints
    scored_keypoints: Keypoints

    def close(self) -> None:
        """Close the decoders."""
        for video in (self.real_video, self.driver_video):
            if video is not None:
                video.close()


def prepare_inputs(dataset: ClipDataset, planned: PlannedCase, *, with_driver: bool = False) -> CaseInputs:
    """Read the inputs of a case; frames are decoded on demand.

    Args:
        dataset: dataset of the case.
        planned: the case.
        with_driver: whether the frames of the driving clip are needed.

    Raises:
        DatasetError: keypoints or video differ from the row of the dataset.
        MediaError: the video cannot be opened or has no frame.
    """
    perturbed = planned.perturbation
    clip = perturbed.clip if perturbed else planned.pair.portrait if planned.pair else planned.clip
    size = (planned.width, planned.height) if planned.scaled else None
    video = ReferenceVideo(dataset.video(clip), size, f"clip {clip.clip_id}")
    try:
        reference = video.first()
        if reference is None:
            raise MediaError(f"clip {clip.clip_id}: its video has no frame: curate it again")
        if planned.pair is None:
            keypoints = dataset.keypoints(clip)[: planned.num_frames]
            given = keypoints
            if perturbed is not None:
                given = perturb(
                    keypoints,
                    perturbed.kind,
                    perturbed.strength,
                    clip_id=clip.clip_id,
                    seed=perturbed.seed,
                    aspect=planned.width / planned.height,
                )
            return CaseInputs(reference, given, video, video, keypoints, keypoints)
        driving = dataset.keypoints(planned.pair.driving)
        poses = _poses(dataset, planned.pair, driving, planned.width / planned.height)
    except BaseException:
        video.close()
        raise
    video.close()
    driver = _driver_video(dataset, planned, planned.pair.driving) if with_driver else None
    poses, driving = poses[: planned.num_frames], driving[: planned.num_frames]
    return CaseInputs(reference, poses, None, driver, driving, poses)


def _driver_video(dataset: ClipDataset, planned: PlannedCase, clip: Clip) -> ReferenceVideo:
    """Open the video of the driving clip of a pair, scaled to the size of the case."""
    size = (planned.width, planned.height)
    return ReferenceVideo(dataset.video(clip), None if size == clip.size else size, f"clip {clip.clip_id}")


def _poses(dataset: ClipDataset, pair: Pair, driving: Keypoints, aspect: float) -> Keypoints:
    """Return the driving poses, retargeted to the portrait if the protocol says so."""
    if not pair.retarget:
        return driving
    from talkingpose.pose.retarget import fullest_frame, retarget

    driver, portrait = driving[fullest_frame(driving)], dataset.keypoints(pair.portrait)[0]
    try:
        return retarget(driving, driver, portrait, aspect=aspect)
    except ValueError as error:
        raise DatasetError(f"clips {pair.portrait.clip_id}, {pair.driving.clip_id}: {error}") from error
