from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from curation.synthetic import Identity, Motion, PoseState, Scene, SeedError, draw_identity, frames, render
from talkingpose.pose.keypoints import FACE, LEFT_HAND, RIGHT_HAND

HASH = """
import hashlib
from curation.synthetic import frames
digest = hashlib.sha256()
for image, keypoints in frames(21, 22, 4, 64):
    digest.update(image.tobytes() + keypoints.tobytes())
print(digest.hexdigest())
"""
# Tips and middles of fingers.
FINGERS = [joint for joint in range(1, 21) if joint % 4 in (0, 3)]


def bare(seed: int) -> Identity:
    """Speaker with nothing in front of the face."""
    return replace(draw_identity(seed), glasses="none", beard="none", hair_style="crop")


def test_same_seeds_same_bytes_here_and_in_another_process() -> None:
    digests = []
    for _ in range(2):
        digest = hashlib.sha256()
        for image, keypoints in frames(21, 22, 4, 64):
            digest.update(image.tobytes() + keypoints.tobytes())
        digests.append(digest.hexdigest())
    other = subprocess.run([sys.executable, "-c", HASH], capture_output=True, text=True, check=True)
    assert digests == [other.stdout.strip()] * 2


def test_shapes_and_ranges() -> None:
    for image, keypoints in frames(3, 4, 5, 96):
        assert image.shape == (96, 96, 3)
        assert image.dtype == np.uint8
        assert keypoints.shape == (133, 3)
        assert keypoints.dtype == np.float32
        assert np.isfinite(keypoints).all()
        assert keypoints.min() >= 0.0
        assert keypoints.max() <= 1.0
        assert set(np.unique(keypoints[:, 2])) <= {0.0, 0.5, 1.0}
        assert not keypoints[keypoints[:, 2] == 0].any()
        assert not keypoints[13:23].any()
        assert (keypoints[FACE, 2] > 0).all()


def test_identity_does_not_depend_on_the_motion() -> None:
    pictures = [
        render(draw_identity(9), Motion(motion_seed).at(30), 64)[0].astype(int) for motion_seed in (1, 2)
    ]
    # The upper corners show wall in every pose.
    assert np.array_equal(pictures[0][:16, :8], pictures[1][:16, :8])
    assert np.array_equal(pictures[0][:16, -8:], pictures[1][:16, -8:])
    other = render(draw_identity(10), Motion(1).at(30), 64)[0].astype(int)
    assert np.abs(other - pictures[0]).mean() > 10
    assert np.abs(pictures[1] - pictures[0]).mean() > 1


def test_motion_does_not_depend_on_the_identity() -> None:
    """Two speakers in one pose differ only by their proportions."""
    state = Motion(5).at(50)
    first, second = (render(draw_identity(seed), state, 64)[1] for seed in (1, 2))
    both = (first[:, 2] > 0) & (second[:, 2] > 0)
    assert np.abs(first - second)[both, :2].max() < 0.15


def test_every_frame_is_new() -> None:
    images = [image for image, _ in frames(4, 5, 40, 64)]
    assert len({image.tobytes() for image in images}) == 40


def test_picture_is_the_same_at_every_size() -> None:
    state, identity = Motion(2).at(33), draw_identity(6)
    small, small_points = render(identity, state, 64)
    large, large_points = render(identity, state, 256)
    shrunk = large.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 6.0
    assert np.array_equal(small_points[:, :2], large_points[:, :2])


def test_left_and_right_are_the_speakers_own() -> None:
    state = replace(Motion(7).at(0), head=np.zeros(3), arms=rest_arms())
    keypoints = render(bare(5), state, 64)[1]
    for left, right in ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10)):
        assert keypoints[left, 0] > keypoints[right, 0]
    assert keypoints[23 + 45, 0] > keypoints[23 + 36, 0]
    assert np.allclose(keypoints[91, :2], keypoints[9, :2])
    assert np.allclose(keypoints[112, :2], keypoints[10, :2])


def rest_arms() -> np.ndarray:
    """Both hands apart and open, palms towards the viewer."""
    arm = np.array([-0.05, 0.25, 0.45, 0.3, 0.2, -0.3, 0.0, 0.05, 0.05, 0.05, 0.05, 0.05, 0.9, 0.9])
    return np.stack([arm, arm])


def still(**changes: object) -> PoseState:
    """Frontal pose, eyes open, mouth closed."""
    state = PoseState(
        head=np.zeros(3),
        gaze=np.zeros(2),
        blink=0.0,
        brows=np.zeros(2),
        mouth=np.zeros(5),
        torso=np.zeros(3),
        breath=0.0,
        shrug=np.zeros(2),
        arms=rest_arms(),
    )
    return replace(state, **changes)


def test_mouth_keypoints_follow_the_opening() -> None:
    gaps = []
    for opening in (0.0, 0.5, 1.0):
        keypoints = render(bare(1), still(mouth=np.array([opening, 0, 0, 0, 0])), 64)[1]
        gaps.append(float(keypoints[23 + 66, 1] - keypoints[23 + 62, 1]))
    assert gaps[0] == pytest.approx(0.0, abs=1e-6)
    assert gaps[0] < gaps[1] < gaps[2]
    assert gaps[2] > 0.02


def test_eyelids_follow_the_blink() -> None:
    gaps = []
    for blink in (0.0, 0.5, 1.0):
        keypoints = render(bare(1), still(blink=blink), 64)[1]
        gaps.append(float(keypoints[23 + 41, 1] - keypoints[23 + 37, 1]))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.3 * gaps[0]


def test_head_turns_with_parallax() -> None:
    ahead, turned = (render(bare(1), still(head=np.array([yaw, 0.0, 0.0])), 64)[1] for yaw in (0.0, 0.4))
    assert turned[0, 0] - ahead[0, 0] > turned[1, 0] - ahead[1, 0] > 0


def changed_pixels(identity: Identity, other: Identity, state: PoseState, size: int) -> np.ndarray:
    first, second = render(identity, state, size)[0], render(other, state, size)[0]
    return np.abs(first.astype(int) - second).sum(axis=2)


def pixel(map_: np.ndarray, point: np.ndarray) -> int:
    size = map_.shape[0]
    return int(map_[min(int(point[1] * size), size - 1), min(int(point[0] * size), size - 1)])


@pytest.mark.parametrize("seed", range(4))
def test_visible_finger_keypoints_lie_on_the_skin(seed: int) -> None:
    """Another skin colour changes the picture at every visible finger, but not on the clothes."""
    identity = replace(bare(seed), skin=(228, 178, 146))
    painted = replace(identity, skin=(60, 150, 70))
    seen = 0
    for index in (10, 60, 110):
        state = Motion(seed).at(index)
        change = changed_pixels(identity, painted, state, 256)
        keypoints = render(identity, state, 256)[1]
        for hand in (LEFT_HAND, RIGHT_HAND):
            for joint in FINGERS:
                x, y, confidence = keypoints[hand][joint]
                if confidence == 1.0:
                    seen += 1
                    assert pixel(change, np.array([x, y])) > 60
        # Clothes and wall, most of the picture, keep their colours.
        assert (change > 60).mean() < 0.35
    assert seen > 20


def test_eye_and_mouth_keypoints_lie_on_eye_and_mouth() -> None:
    identity = bare(2)
    state = still(mouth=np.array([0.0, 0.0, 0.0, 0.0, 0.2]), arms=rest_arms())
    keypoints = render(identity, state, 256)[1]
    iris = changed_pixels(identity, replace(identity, iris=(250, 40, 40)), state, 512)
    for eye in (1, 2):
        # Beside the pupil, which has another colour.
        assert pixel(iris, keypoints[eye, :2] + (0.0095, 0.0)) > 60
    lips = changed_pixels(identity, replace(identity, lips=(20, 60, 250)), state, 512)
    lower = 0.5 * (keypoints[23 + 57, :2] + keypoints[23 + 66, :2])
    assert pixel(lips, lower) > 60


def test_a_hand_in_front_of_the_face_hides_it() -> None:
    arms = rest_arms()
    arms[0, :3] = (0.40, 0.02, 0.42)
    free = render(bare(3), still(), 128)[1]
    hidden = render(bare(3), still(arms=arms), 128)[1]
    assert (free[FACE, 2][17:] == 1.0).all()
    assert (hidden[FACE, 2] == 0.5).any()
    assert (hidden[FACE, 2] > 0.0).all()


@pytest.mark.parametrize("size", [0, 31, 4096, 64.0, True])
def test_bad_size(size: object) -> None:
    with pytest.raises(SeedError, match=r"^size: .*give an integer from 32 to 2048$"):
        Scene(draw_identity(0), size)


@pytest.mark.parametrize("num_frames", [0, -3, 2.5])
def test_bad_number_of_frames(num_frames: object) -> None:
    with pytest.raises(SeedError, match=r"^num_frames: .*give an integer from 1$"):
        frames(0, 0, num_frames, 64)
