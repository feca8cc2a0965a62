"""AKD, MKR, HKC and HKV against closed forms, and the pose detector that they read."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.features.pose import DetectedPose
from benchmark.metrics import CaseShape
from benchmark.metrics.akd import Akd
from benchmark.metrics.hkc import Hkc
from benchmark.metrics.hkv import Hkv
from benchmark.metrics.keypoint_parts import PARTS
from benchmark.metrics.mkr import Mkr
from benchmark.metrics.window import PairWindow
from talkingpose.media import VideoReader
from tests.benchmark.metrics.posed_pairs import CASE, person, score

EVERY_PART = pytest.mark.parametrize("part", PARTS)


@EVERY_PART
def test_identical_poses_have_no_distance_and_miss_nothing(part: str) -> None:
    real = person()
    for metric in (Akd(part), Akd(part, "akd_shoulder"), Mkr(part)):
        result, _ = score(metric, real, real.copy())
        assert (result.value, result.state, result.coverage) == (0.0, "ok", 1.0)


@EVERY_PART
@settings(deadline=None, max_examples=10)
@given(dx=st.integers(-20, 20), dy=st.integers(-20, 20), frames=st.integers(1, 5))
def test_a_shift_is_measured_exactly(part: str, dx: int, dy: int, frames: int) -> None:
    real = person(frames)
    generated = real + np.array([dx / 512, dy / 256, 0], np.float32)
    akd, scores = score(Akd(part), real, generated)
    assert akd.value == pytest.approx((abs(dx) + abs(dy)) / 2, abs=1e-3)
    assert scores == pytest.approx([akd.value] * frames, abs=1e-3)
    shoulder, _ = score(Akd(part, "akd_shoulder"), real, generated)
    assert shoulder.value == pytest.approx(100 * float(np.hypot(dx, dy)) / 128, abs=1e-3)


@settings(deadline=None, max_examples=15)
@given(
    real=st.lists(st.booleans(), min_size=133, max_size=133),
    generated=st.lists(st.booleans(), min_size=133, max_size=133),
)
def test_missing_points_are_counted(real: list[bool], generated: list[bool]) -> None:
    poses = np.repeat(person(1), 2, axis=0)
    there = [np.array(flags) for flags in (real, generated)]
    pair = [np.where(flags[None, :, None], poses, 0).astype(np.float32) for flags in there]
    for part, rows in PARTS.items():
        expected = int(there[0][rows].sum())
        missing = int((there[0] & ~there[1])[rows].sum())
        result, scores = score(Mkr(part), *pair)
        if expected:
            assert result.value == missing / expected
            assert scores == [missing / expected] * 2
        else:
            assert (result.value, result.state, scores) == (None, "unavailable", [None, None])
        akd, _ = score(Akd(part), *pair)
        assert akd.value == (0.0 if expected > missing else None)


def test_a_point_of_low_confidence_is_absent() -> None:
    real, generated = person(), person()
    generated[:, 3, 2] = 0.49
    real[:, 4, 2] = 0.49
    assert score(Mkr("body"), real, generated)[0].value == 1 / 16


def test_frames_without_the_part_lower_the_coverage_not_the_distance() -> None:
    real = person(10)
    generated = real.copy()
    generated[:4, PARTS["hands"]] = 0
    for metric in (Akd("hands"), Akd("hands", "akd_shoulder"), Hkv("amount"), Hkv("ratio")):
        result, _ = score(metric, real, generated)
        assert (result.state, result.coverage, result.n_frames) == ("partial", 0.6, 6)
        assert result.reason == "no hands found in 4 of 10 generated frames"
        assert result.value is not None
    assert score(Mkr("hands"), real, generated)[0].value == 0.4


def test_a_part_in_one_video_only() -> None:
    full, bare = person(), person()
    bare[:, PARTS["hands"]] = 0
    for metric in (Akd("hands"), Akd("hands", "akd_shoulder"), Hkv("amount"), Hkv("ratio")):
        lost, _ = score(metric, full, bare)
        assert (lost.value, lost.state, lost.coverage) == (None, "unavailable", 0.0)
        assert "in the generated video" in str(lost.reason)
        unasked, _ = score(metric, bare, full)
        assert (unasked.value, unasked.state) == (None, "unavailable")
        assert unasked.reason == "the detector finds no hands in the real video"
    assert score(Mkr("hands"), full, bare)[0].value == 1.0
    assert score(Hkc(), full, bare)[0].value == 0.0


def test_without_shoulders_there_is_no_normalisation() -> None:
    real = person()
    real[:, 5] = 0
    for metric in (Akd("face", "akd_shoulder"), Hkv("amount")):
        result, _ = score(metric, real, real.copy())
        assert (result.value, result.state) == (None, "unavailable")
        assert "both shoulders" in str(result.reason)
    assert score(Hkv("ratio"), real, real.copy())[0].value == pytest.approx(1)


def test_hkc_is_the_confidence_of_the_wrist_where_the_hand_is_found() -> None:
    real, generated = person(4), person(4)
    real[3, PARTS["hands"]] = 0
    generated[:, 9, 2], generated[:, 10, 2] = 0.5, 0.75
    generated[1, 91:112] = 0
    result, scores = score(Hkc(), real, generated)
    assert scores == [0.625, 0.375, 0.625, None]
    assert result.value == pytest.approx((0.5 + 0.75 + 0 + 0.75 + 0.5 + 0.75) / 6)
    assert (result.coverage, result.n_frames) == (0.75, 3)


def test_hkv_is_the_variance_and_its_ratio_that_of_squares() -> None:
    real = person(50)
    hands = PARTS["hands"]
    middle = real[:, hands, :2].mean(axis=0)
    generated = real.copy()
    generated[:, hands, :2] = middle + 2 * (real[:, hands, :2] - middle)
    assert score(Hkv("ratio"), real, generated)[0].value == pytest.approx(4, rel=1e-4)
    in_pixels = generated[:, hands, :2].astype(float) * (512, 256)
    variance = in_pixels.var(axis=0).sum(axis=1).mean()
    assert score(Hkv("amount"), real, generated)[0].value == pytest.approx(variance / 128**2, rel=1e-6)


def test_a_frozen_hand_has_no_variance() -> None:
    real = person(20)
    assert score(Hkv("ratio"), real, np.repeat(real[:1], 20, axis=0))[0].value == 0
    still = np.repeat(real[:1], 20, axis=0)
    result, _ = score(Hkv("ratio"), still, real)
    assert (result.value, result.state) == (None, "unavailable")


def test_pixels_are_those_of_a_frame_of_512() -> None:
    large = dataclasses.replace(CASE, width=1024, height=512)
    real, generated = person(seed=0), person(seed=1)
    values = [score(Akd("face"), real, generated, case)[0].value for case in (CASE, large)]
    assert values[0] == values[1]


class Estimator:
    """Stands for mediapipe: finds nothing, and notes that it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def __call__(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.zeros((133, 3), np.float32)

    def __enter__(self) -> Estimator:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


def test_the_detector_takes_every_frame_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talkingpose.pose.HolisticEstimator", Estimator)
    pose = DetectedPose()
    window = PairWindow(1, reference=np.zeros((64, 64, 3), np.uint8), extractors={"pose": pose})
    for _ in range(2):
        window.push(np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8))
    with pytest.raises(LookupError, match="0 is next"):
        window.feature("pose", "real")
    assert not window.feature("pose", "real", 1).any()
    assert window.feature("pose", "real").shape == (133, 3)
    assert not window.feature("pose", "reference").any()
    streams = pose._streams[window]
    del window
    gc.collect()
    assert not pose._streams
    assert len(streams) == 1 and all(stream.estimator.closed for stream in streams.values())


def test_real_footage_against_itself_and_against_a_late_copy(footage: Path) -> None:
    """Clips of a batch have the numbers of clips alone."""
    images = first_frames(footage / "upper_body_hands" / "stage_talk_1.mp4", 9)
    together = distances(images, (0, 4))
    assert together[0] == 0
    assert together[1] > 0.5
    assert distances(images, (4,)) == together[1:]


def distances(images: list[npt.NDArray[np.uint8]], lags: tuple[int, ...]) -> list[float]:
    """AKD of the hands of late videos, scored in lockstep by one detector as the clips of a batch are."""
    pose = DetectedPose()
    case = CaseShape("talk", Fraction(23), images[0].shape[1], images[0].shape[0], len(images))
    clips = [(lag, PairWindow(0, extractors={"pose": pose}), Akd("hands").start(case)) for lag in lags]
    for t in range(max(lags), len(images)):
        for lag, window, state in clips:
            window.push(images[t], images[t - lag])
            state.update(window)
    return [float(str(state.finish().value)) for _, _, state in clips]


def first_frames(path: Path, count: int) -> list[npt.NDArray[np.uint8]]:
    with VideoReader(path, size=(256, 256)) as reader:
        return [frame.image for frame in itertools.islice(reader, count)]


def test_the_first_clip_of_a_process_is_freed() -> None:
    program = """
import weakref
from fractions import Fraction
import numpy as np
from benchmark.metrics import CaseShape, family
from benchmark.metrics.scoring import Scoring

blank = np.zeros((64, 64, 3), np.uint8)
scoring = Scoring(CaseShape("clip", Fraction(25), 64, 64, 1), blank, family("mkr"))
scoring.window.push(blank, blank)
scoring.score()
window = weakref.ref(scoring.window)
del scoring
assert window() is None
"""
    subprocess.run([sys.executable, "-c", program], check=True)
