from __future__ import annotations

import numpy as np

from talkingpose.animate.background import PortraitBackground, body_mask
from tests.talkingpose.animate.test_driving_poses import person


def test_the_mask_covers_the_keypoints_and_not_the_corners() -> None:
    mask = body_mask(person(), 120, 160)
    points = person()
    for x, y in points[points[:, 2] > 0, :2] * (159, 119):
        assert mask[round(float(y)), round(float(x))] == 1
    assert not mask[:10, :10].any() and not mask[:10, -10:].any()
    assert not body_mask(np.zeros((133, 3), np.float32), 8, 8).any()


def test_the_background_is_the_portraits_and_the_person_the_models() -> None:
    portrait = np.full((120, 160, 3), 200, np.uint8)
    frame = np.full((120, 160, 3), 50, np.uint8)
    with PortraitBackground(portrait, person(0.4)) as background:
        pasted = background.pasted(frame, person(0.6))
    # Where the person is in the frame, or was in the portrait, the model's pixels stay.
    for x in (0.4, 0.6):
        assert (pasted[round(0.3 * 120), round(x * 160)] == 50).all()
    assert (pasted[:5, :5] == 200).all()
