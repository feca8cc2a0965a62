"""Metrics of change over time: closed forms, known motion, and what controls must score."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.features.flow import Flow, _dis
from benchmark.metrics.flicker import FlickerDifference
from benchmark.metrics.motion_ratio import MotionRatio
from benchmark.metrics.seam import Seam
from benchmark.metrics.tje import Tje
from benchmark.metrics.warp_error import WarpError
from benchmark.metrics.window import PairWindow
from tests.benchmark.metrics.scoring import panned, score, texture


def still(frames: int = 5) -> np.ndarray:
    return np.repeat(texture(0)[None], frames, axis=0)


def test_flicker_is_the_change_of_a_still_scene() -> None:
    real = still()
    generated = real.copy()
    generated[1::2] += 3
    result, scores = score(FlickerDifference(), real, generated)
    assert (result.value, result.n_frames, result.coverage) == (3, 4, 1)
    assert np.isnan(scores[0]) and scores[1:] == [3, 3, 3, 3]


def test_flicker_counts_only_still_pixels() -> None:
    real = still()
    for t in range(5):
        real[t, :, :50] = texture(t + 1)[:, :50]
    generated = real.copy()
    generated[1::2, :, 60:] += 5
    result, _ = score(FlickerDifference(), real, generated)
    columns = 112 - 50 - 2  # the neighbourhood of two columns reaches into the moving half
    assert result.value == pytest.approx(5 * (112 - 60) / columns, rel=0.05)


def test_flicker_needs_still_pixels() -> None:
    moving = np.stack([texture(t) for t in range(4)])
    result, _ = score(FlickerDifference(), moving, moving)
    assert (result.value, result.state) == (None, "unavailable")


def test_a_frozen_video_has_no_flicker_and_no_motion() -> None:
    real = panned(0)
    real[:, :40] = texture(9)[:40]
    frozen = np.repeat(real[:1], len(real), axis=0)
    assert score(FlickerDifference(), real, frozen)[0].value == 0
    assert score(MotionRatio(), real, frozen)[0].value == 0


def test_motion_ratio_of_the_real_video_and_of_twice_its_motion() -> None:
    real = panned(1, step=(1, 0))
    assert score(MotionRatio(), real, real)[0].value == 1
    base = np.full((6, 40, 40, 3), 100, np.uint8)
    ramp = np.arange(6, dtype=np.uint8)[:, None, None, None]
    result, scores = score(MotionRatio(), base + 2 * ramp, base + 5 * ramp)
    assert result.value == 2.5 and scores[1:] == [2.5] * 5


def test_motion_ratio_of_a_still_video_is_unavailable() -> None:
    result, _ = score(MotionRatio(), still(), panned(0, 5))
    assert (result.value, result.state) == (None, "unavailable")


@pytest.mark.parametrize("step", [(1, 0), (0, 2), (3, 1)])
def test_warping_undoes_a_known_translation(step: tuple[int, int]) -> None:
    real = panned(3, step=step)
    result, _ = score(WarpError(), real, real)
    unwarped = np.mean((real[1:].astype(float) - real[:-1]) ** 2) / 255**2 * 1000
    assert result.value is not None and result.value < 0.03 * unwarped


def test_warping_error_of_flicker_is_its_square() -> None:
    real = panned(4)
    generated = real.copy()
    generated[1::2] += 10
    result, _ = score(WarpError(), real, generated)
    assert result.value == pytest.approx(1000 * 10**2 / 255**2, rel=0.02)


def test_hidden_pixels_do_not_count_in_the_warping_error() -> None:
    """A moving square uncovers ground that the previous frame does not show."""
    real = np.repeat(texture(5, 160, 200)[None], 6, axis=0)
    for t in range(6):
        real[t, 50:110, 20 + 12 * t : 80 + 12 * t] = texture(6, 60, 60)
    window = PairWindow(1, extractors={"flow": Flow()})
    unmasked = []
    for frame in real:
        window.push(frame, frame)
        flow = window.feature("flow", "real")
        if flow is not None:
            uncovered = flow.valid[50:110, 20 + 12 * (window.t - 1) : 20 + 12 * window.t]
            assert uncovered.mean() < 0.3
            assert flow.valid.mean() > 0.85
            warped = cv2.remap(window.real(1), flow.at, None, cv2.INTER_LINEAR)
            unmasked.append(np.mean((frame.astype(float) - warped) ** 2) / 255**2 * 1000)
    assert score(WarpError(), real, real)[0].value < 0.5 * np.mean(unmasked)


def test_frames_too_small_for_flow_have_no_warping_error() -> None:
    real = panned(0)[:, :24, :24]
    result, _ = score(WarpError(), real, real)
    assert (result.value, result.state) == (None, "unavailable")


def test_the_flow_is_the_same_for_any_number_of_threads() -> None:
    real, generated = panned(7), panned(8)
    before = cv2.getNumThreads()
    values = []
    for threads in (1, 2, 5):
        cv2.setNumThreads(threads)
        values.append(score(WarpError(), real, generated)[0].value)
    cv2.setNumThreads(before)
    assert len(set(values)) == 1


def test_seam_energy_of_a_step_at_each_seam() -> None:
    real = still(17)
    generated = real.copy()
    for t in range(17):
        generated[t] += np.uint8(2 * (t // 4) + t % 2)  # a step of 3 at seams, of 1 elsewhere
    result, _ = score(Seam(), real, generated, window=4)
    steps = np.diff([2 * (t // 4) + t % 2 for t in range(17)])
    seams = [abs(int(step)) for t, step in enumerate(steps, start=1) if t % 4 == 0]
    others = [abs(int(step)) for t, step in enumerate(steps, start=1) if t % 4]
    assert result.value == pytest.approx(np.mean(seams) / np.mean(others))
    assert result.n_frames == 4


@pytest.mark.parametrize(
    ("window", "why"), [(None, "does not state"), (1, "frame by frame"), (99, "one window")]
)
def test_without_seams_seam_energy_is_unavailable(window: int | None, why: str) -> None:
    real, generated = panned(0), panned(1)
    result, _ = score(Seam(), real, generated, window=window)
    assert result.state == "unavailable" and result.reason is not None and why in result.reason


def test_tje_skill_of_the_frozen_and_of_the_real_video() -> None:
    real = panned(2)
    for delta in (1, 3):
        assert score(Tje(delta, skill=True), real, real)[0].value == 1
        for frozen in (real[0], texture(8)):
            video = np.repeat(frozen[None], len(real), axis=0)
            assert score(Tje(delta, skill=True), real, video)[0].value == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_skill_is_one_minus_the_ratio_of_the_errors(seed: int, delta: int) -> None:
    generator = np.random.default_rng(seed)
    real, generated = generator.integers(0, 256, (2, 5, 8, 9, 3), np.uint8)
    r, g = real.astype(int), generated.astype(int)
    change = np.abs(r[delta:] - r[:-delta])
    error = np.abs(change - np.abs(g[delta:] - g[:-delta]))
    expected = 1 - error.sum() / change.sum()
    assert score(Tje(delta, skill=True), real, generated)[0].value == pytest.approx(expected, abs=1e-12)


def test_the_flow_of_a_frame_does_not_depend_on_the_clips_before() -> None:
    """The buffers of OpenCV's object leak from one frame size into the next."""

    def flow(clip: np.ndarray) -> np.ndarray:
        window = PairWindow(1, extractors={"flow": Flow()})
        for frame in clip[:3]:
            window.push(frame, frame)
            found = window.feature("flow", "real")
        return found.at

    clips = panned(1), panned(2)[:, :80, :64], panned(3)
    before = [flow(clip) for clip in clips]
    assert all(np.array_equal(flow(clip), found) for clip, found in zip(clips, before, strict=True))
    _dis.cache_clear()
    for clip, found in reversed(list(zip(clips, before, strict=True))):
        assert np.array_equal(flow(clip), found)
