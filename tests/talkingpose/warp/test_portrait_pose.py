from __future__ import annotations

import numpy as np

from talkingpose.data.clips import load_clips
from talkingpose.warp.portrait_pose import choose_pose, portrait_pose


def test_the_first_driving_pose_is_that_of_the_portrait_where_it_fits() -> None:
    clip, other = load_clips("tp-mini", split="test")[2:4]
    assert np.array_equal(portrait_pose(clip.portrait, clip.keypoints[0]), clip.keypoints[0])
    # Somebody else's pose is not the portrait's: the portrait is looked at.
    assert not np.array_equal(portrait_pose(clip.portrait, other.keypoints[0]), other.keypoints[0])


def test_without_a_detection_the_first_pose_is_taken() -> None:
    pose = load_clips("tp-mini", split="test")[0].keypoints[0]
    assert choose_pose(np.zeros_like(pose), pose) is pose
