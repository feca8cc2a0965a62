"""Face crops of a driving clip."""

from __future__ import annotations

import numpy as np
import pytest

from talkingpose.pose import PoseError
from talkingpose.pose.face_crop import FACE_SIDE, FaceCrop

SIZE = 200


def poses(centres: list[tuple[float, float] | None], side: float = 40) -> np.ndarray:
    """Face points on the outline of a square of `side` pixels about each centre."""
    keypoints = np.zeros((len(centres), 133, 3), np.float32)
    turn = np.linspace(-1, 1, 68)
    for points, centre in zip(keypoints, centres, strict=True):
        if centre is not None:
            points[23:91, 0] = (centre[0] + side / 2 * turn) / SIZE
            points[23:91, 1] = (centre[1] + side / 2 * turn[::-1]) / SIZE
            points[23:91, 2] = 1
    return keypoints


def test_crop_is_centred_on_the_face_with_a_margin_of_half_its_side() -> None:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[70:130, 50:110] = 200  # 60 pixels: 1.5 times the face
    crop = FaceCrop(poses([(80, 100)]), SIZE, SIZE).crop(image, 0)
    assert crop.shape == (FACE_SIDE, FACE_SIDE, 3) and crop.dtype == np.uint8
    inner = crop[6:-6, 6:-6]
    assert (inner == 200).all()
    assert crop[:1].mean() < 200


def test_one_scale_for_the_clip_and_the_last_centre_where_no_face_is_seen() -> None:
    keypoints = poses([None, (80, 100), None, (120, 60)])
    keypoints[3, 23:91, :2] = (keypoints[3, 23:91, :2] - [0.6, 0.3]) * 3 + [
        0.6,
        0.3,
    ]  # a face thrice as large
    crop = FaceCrop(keypoints, SIZE, SIZE)
    image = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    first = crop.crop(image, 1)
    assert np.array_equal(crop.crop(image, 0), first) and np.array_equal(crop.crop(image, 2), first)
    assert not np.array_equal(crop.crop(image, 3), first)
    assert crop._side == pytest.approx(1.5 * (40 + 120) / 2, rel=1e-3)


def test_outside_of_the_frame_is_black() -> None:
    crop = FaceCrop(poses([(0, 0)]), SIZE, SIZE).crop(np.full((SIZE, SIZE, 3), 255, np.uint8), 0)
    assert not crop[:250, :250].any() and crop[262:, 262:].all()


def test_no_face_is_one_line() -> None:
    few = poses([(80, 100)])
    few[:, 23:60] = 0
    for keypoints in (np.zeros((3, 133, 3), np.float32), few):
        with pytest.raises(PoseError, match="face"):
            FaceCrop(keypoints, SIZE, SIZE)
