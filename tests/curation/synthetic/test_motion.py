from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from curation.synthetic import Motion, SeedError, draw_identity
from curation.synthetic.figure import pose_figure
from curation.synthetic.keypoints import figure_keypoints
from curation.synthetic.speech import Speech
from curation.synthetic.tracks import Track, minimum_jerk

FPS = 25.0


@cache
def clip(motion_seed: int, num_frames: int = 300, fps: float = FPS) -> np.ndarray:
    """Keypoints of a clip without legs and feet, (num_frames, 123, 2)."""
    identity, motion = draw_identity(3), Motion(motion_seed, fps)
    points = np.stack([figure_keypoints(pose_figure(identity, motion.at(i))) for i in range(num_frames)])
    drawn = np.isfinite(points).all(axis=(0, 2))
    assert drawn.sum() == 123
    return points[:, drawn]


def test_frames_in_any_order() -> None:
    forwards, jumping = Motion(5), Motion(5)
    late = jumping.at(250)
    states = [forwards.at(index) for index in range(251)]
    assert np.array_equal(late.arms, states[-1].arms)
    assert np.array_equal(jumping.at(3).mouth, states[3].mouth)


def test_frame_rate_only_samples_the_same_motion() -> None:
    slow, fast = Motion(8, 25.0), Motion(8, 50.0)
    assert np.allclose(slow.at(40).arms, fast.at(80).arms)
    assert np.allclose(slow.at(40).head, fast.at(80).head)


def test_three_hundred_frames_do_not_repeat() -> None:
    points = clip(1).reshape(300, -1)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(300)
    assert distance.min() > 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_motion_is_smooth(seed: int) -> None:
    points = clip(seed)
    speed = np.linalg.norm(np.diff(points, axis=0), axis=2)
    acceleration = np.linalg.norm(np.diff(points, 2, axis=0), axis=2)
    # Picture heights per frame and per frame squared; a jump of a wrist would be at least 0.1.
    assert acceleration[:, 5:13].max() < 0.025
    assert acceleration.max() < 0.05
    assert speed.max() < 0.12
    assert np.percentile(speed[:, 81:], 95) > 0.01


def test_speaker_blinks_speaks_and_gestures() -> None:
    motion = Motion(4)
    states = [motion.at(index) for index in range(300)]
    blink = np.array([state.blink for state in states])
    mouth = np.array([state.mouth[0] for state in states])
    arms = np.array([state.arms for state in states])
    assert blink.max() > 0.8
    assert np.median(blink) < 0.3
    assert mouth.max() > 0.5
    assert mouth.min() < 0.05
    assert np.ptp(arms[:, :, 1], axis=0).max() > 0.3


def test_hands_stay_in_the_picture() -> None:
    for seed in range(3):
        wrists = clip(seed)[:, 9:11]
        assert wrists.min() > 0.0
        assert wrists.max() < 1.0


def test_bones_keep_their_length() -> None:
    identity, motion = draw_identity(2), Motion(6)
    for index in range(0, 200, 7):
        figure = pose_figure(identity, motion.at(index))
        upper = np.linalg.norm(figure.elbows - figure.shoulders, axis=1)
        fore = np.linalg.norm(figure.wrists - figure.elbows, axis=1)
        assert np.allclose(upper, identity.body.upper_arm, atol=1e-3)
        assert np.allclose(fore, identity.body.forearm, atol=1e-3)


def test_minimum_jerk_rests_at_both_ends() -> None:
    assert minimum_jerk(-1.0) == 0.0
    assert minimum_jerk(0.5) == 0.5
    assert minimum_jerk(2.0) == 1.0
    assert minimum_jerk(0.001) < 1e-7


def test_track_adds_movements_that_overlap() -> None:
    track = Track(np.zeros(1))
    track.move(0.0, 1.0, [1.0])
    track.move(0.5, 1.0, [3.0])
    assert track.at(0.25)[0] == pytest.approx(minimum_jerk(0.25))
    assert track.at(0.75)[0] == pytest.approx(minimum_jerk(0.75) + 2.0 * minimum_jerk(0.25))
    assert track.at(9.0)[0] == pytest.approx(3.0)


def test_stresses_lie_in_phrases() -> None:
    speech = Speech(2)
    start, end = speech.phrase_after(3.0)
    assert all(start <= stress.time < end for stress in speech.stresses_between(start, end))
    assert speech.stresses_between(start, end)


@pytest.mark.parametrize("fps", [0, -1.0, float("nan"), 1000])
def test_bad_frame_rate(fps: float) -> None:
    with pytest.raises(SeedError, match=r"^fps: .*give a number from 1 to 240$"):
        Motion(0, fps)


def test_bad_frame_index() -> None:
    with pytest.raises(SeedError, match=r"^frame index: -1: give 0 or more$"):
        Motion(0).at(-1)
