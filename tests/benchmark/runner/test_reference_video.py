from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmark.runner.reference_video import DrivingFrames, ReferenceVideo
from talkingpose.media import MediaError
from tests.benchmark.drawn_clips import Drawn, video_bytes

CLIP = Drawn("clip", "anna", Fraction(25), 12, (32, 32))


@pytest.fixture
def video(tmp_path: Path) -> bytes:
    return video_bytes(CLIP, tmp_path)


def frames(video: bytes) -> list[np.ndarray]:
    return list(ReferenceVideo(video, None, "clip").decode())


def test_scores_and_contestant_share_one_decoding(video: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = frames(video)
    reference_video = ReferenceVideo(video, None, "clip")
    driving = iter(DrivingFrames(reference_video, 12))
    monkeypatch.setattr(reference_video, "decode", None)
    for frame in expected:
        assert np.array_equal(next(driving), frame)
        assert np.array_equal(reference_video.next(), frame)
    assert reference_video.next() is None and next(driving, None) is None


def test_a_contestant_may_read_everything_first(video: bytes) -> None:
    reference_video = ReferenceVideo(video, None, "clip")
    assert np.array_equal(list(DrivingFrames(reference_video, 12)), frames(video))
    assert np.array_equal([reference_video.next() for _ in range(12)], frames(video))


@pytest.mark.parametrize("scored", [3, 12])
def test_a_contestant_that_falls_behind_still_gets_every_frame(video: bytes, scored: int) -> None:
    reference_video = ReferenceVideo(video, None, "clip")
    driving = iter(DrivingFrames(reference_video, 12))
    seen = [next(driving)]
    for _ in range(scored):
        reference_video.next()
    assert np.array_equal([*seen, *driving], frames(video))


def test_driving_frames_can_be_read_twice(video: bytes) -> None:
    driving = DrivingFrames(ReferenceVideo(video, None, "clip"), 7)
    assert np.array_equal(list(driving), list(driving))


def test_looking_at_the_first_frame_does_not_score_it(video: bytes) -> None:
    reference_video = ReferenceVideo(video, None, "clip")
    assert np.array_equal(reference_video.first(), reference_video.next())


def test_a_clip_that_ends_early_says_so(video: bytes) -> None:
    with pytest.raises(MediaError, match="ends after 12 frames"):
        list(DrivingFrames(ReferenceVideo(video, None, "clip"), 13))


def test_frames_are_scaled_in_the_reader(video: bytes) -> None:
    first = ReferenceVideo(video, (16, 24), "clip").first()
    assert first is not None and first.shape == (24, 16, 3)
