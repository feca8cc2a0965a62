"""PSNR, SSIM and TJE against the library or the plain loop that defines them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmark.metrics import CaseShape, Metric, MetricError
from benchmark.metrics.psnr import Psnr, PsnrPooled
from benchmark.metrics.registry import metrics_of
from benchmark.metrics.ssim import Ssim, ssim
from benchmark.metrics.tje import Tje
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore

DELTAS = (1, 2, 4, 8, 16, 32, 64)


def score(metric: Metric, real: np.ndarray, generated: np.ndarray) -> tuple[CaseScore, list[float | None]]:
    """Feed two videos (T, H, W, 3) to a metric."""
    shape = CaseShape("clip", Fraction(25), real.shape[2], real.shape[1], len(real))
    window, state = PairWindow(metric.spec.lookback), metric.start(shape)
    scores = []
    for pair in zip(real, generated, strict=True):
        window.push(*pair)
        scores.append(state.update(window))
    return state.finish(), scores


def video(seed: int, frames: int = 12, height: int = 40, width: int = 56) -> np.ndarray:
    """A smooth random video, uint8."""
    import cv2

    generator = np.random.default_rng(seed)
    frames_ = [
        cv2.GaussianBlur(generator.uniform(0, 255, (height, width, 3)), (0, 0), 2) for _ in range(frames)
    ]
    return np.clip((np.stack(frames_) - 128) * 4 + 128, 0, 255).astype(np.uint8)


def test_psnr_of_a_constant_difference() -> None:
    real = np.full((3, 8, 8, 3), 100, np.uint8)
    expected = 20 * math.log10(255 / 5)
    for metric in (Psnr(), PsnrPooled()):
        assert score(metric, real, real + np.uint8(5))[0].value == pytest.approx(expected, abs=1e-12)


def test_psnr_is_the_mean_over_frames_and_counts_identical_ones() -> None:
    real, generated = video(0), video(1)
    generated[3] = real[3]
    result, scores = score(Psnr(), real, generated)
    mse = ((real.astype(np.float64) - generated) ** 2).mean(axis=(1, 2, 3))
    each = 10 * np.log10(255**2 / mse[mse > 0])
    assert result.value == pytest.approx(each.mean(), abs=1e-12)
    assert (result.n_frames, result.n_infinite, result.state) == (12, 1, "ok")
    assert scores[3] is None
    assert [s for s in scores if s is not None] == pytest.approx(list(each), abs=1e-12)


def test_pooled_psnr_equals_torchmetrics() -> None:
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio

    real, generated = video(0), video(1)
    expected = peak_signal_noise_ratio(
        torch.from_numpy(generated).double(), torch.from_numpy(real).double(), data_range=255.0
    )
    assert score(PsnrPooled(), real, generated)[0].value == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("metric", [Psnr(), PsnrPooled()], ids=lambda m: m.spec.id)
def test_identical_videos_have_no_psnr_and_say_why(metric: Metric) -> None:
    real = video(0)
    result, scores = score(metric, real, real.copy())
    assert (result.value, result.state, result.n_infinite) == (None, "ok", 12)
    assert result.reason is not None and result.reason.startswith("infinite")
    assert scores == [None] * 12


@pytest.mark.parametrize("size", [(11, 11), (40, 56), (67, 43), (128, 128)])
@pytest.mark.parametrize("kind", ["noise", "blur", "unrelated", "bright and flat"])
def test_ssim_equals_scikit_image(size: tuple[int, int], kind: str) -> None:
    import cv2
    from skimage.metrics import structural_similarity

    real = video(0, 1, *size)[0]
    generator = np.random.default_rng(3)
    if kind == "noise":
        generated = np.clip(real + generator.normal(0, 12, real.shape), 0, 255).astype(np.uint8)
    elif kind == "blur":
        generated = cv2.GaussianBlur(real, (0, 0), 1.5)
    elif kind == "unrelated":
        generated = video(9, 1, *size)[0]
    else:
        real = np.full_like(real, 250)
        generated = (real + generator.integers(-1, 2, real.shape)).astype(np.uint8)
    expected = structural_similarity(
        real,
        generated,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    assert ssim(real, generated) == pytest.approx(expected, abs=1e-6)


def test_ssim_equals_torchmetrics_inside_the_border() -> None:
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    real, generated = video(0, 4), video(1, 4)
    tensors = [torch.from_numpy(v).permute(0, 3, 1, 2).double() for v in (generated, real)]
    _, index = structural_similarity_index_measure(*tensors, data_range=255.0, return_full_image=True)
    # Its own mean includes the border, where the window reaches into reflected pixels.
    expected = float(index[..., 5:-5, 5:-5].mean())
    assert score(Ssim(), real, generated)[0].value == pytest.approx(expected, abs=1e-6)


def test_ssim_of_identical_frames_is_exactly_one() -> None:
    real = video(0)
    result, scores = score(Ssim(), real, real.copy())
    assert result.value == 1.0
    assert scores == [1.0] * 12


@pytest.mark.parametrize("delta", DELTAS)
def test_tje_equals_a_plain_loop(delta: int) -> None:
    real, generated = video(0, 80, 16, 24), video(1, 80, 16, 24)
    result, scores = score(Tje(delta), real, generated)
    expected = []
    for t in range(delta, len(real)):
        moved = [np.abs(v[t].astype(int) - v[t - delta].astype(int)) for v in (real, generated)]
        expected.append(np.abs(moved[0] - moved[1]).mean())
    assert result.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert result.n_frames == len(expected)
    assert scores[:delta] == [None] * delta
    assert scores[delta:] == pytest.approx(expected, abs=1e-9)


def test_tje_of_a_frozen_video_is_the_mean_motion() -> None:
    real = video(0)
    frozen = np.repeat(real[:1], len(real), axis=0)
    motion = np.abs(real[2:].astype(int) - real[:-2].astype(int)).mean()
    assert score(Tje(2), real, frozen)[0].value == pytest.approx(motion, abs=1e-9)


def test_tje_does_not_see_a_constant_offset() -> None:
    real = video(0) // 2
    assert score(Tje(1), real, real + np.uint8(40))[0].value == 0.0


def test_tje_of_a_clip_that_is_too_short_has_no_value() -> None:
    result, _ = score(Tje(64), video(0), video(1))
    assert (result.value, result.state, result.n_frames) == (None, "unavailable", 0)


# By tools/tje_error.py of the official repository: talks 1 to 3, video mean, frame-weighted mean.
GOLDEN = {
    1: (4.11693210422314, 3.3497723266980515, 4.335880018097588, 3.934194816339593, 3.9207508006935248),
    2: (5.859867239755299, 4.995373399790139, 6.244920497503492, 5.700053712349643, 5.682885613765684),
    8: (10.162928481001758, 9.878479670052121, 12.063202404913309, 10.701536851989061, 10.670016740699365),
}


def tje_of_talk(footage: Path, talk: int) -> dict[int, CaseScore]:
    """Scores of a talk against the renders of its poses, by distance."""
    import cv2

    name = f"stage_talk_{talk}.mp4"
    videos = [cv2.VideoCapture(str(footage / f / name)) for f in ("upper_body_hands", "pose_renders")]
    window = PairWindow(max(GOLDEN))
    states = {d: Tje(d).start(CaseShape(name, Fraction(25), 512, 512, 0)) for d in GOLDEN}
    while True:
        (more, real), (_, generated) = (v.read() for v in videos)
        if not more:
            return {delta: state.finish() for delta, state in states.items()}
        window.push(real, generated)
        for state in states.values():
            state.update(window)


def test_tje_equals_the_official_tool_on_a_talk(footage: Path) -> None:
    for delta, score in tje_of_talk(footage, 1).items():
        assert score.value == pytest.approx(GOLDEN[delta][0], abs=1e-9)


@pytest.mark.soak
def test_tje_equals_the_official_tool_on_all_talks(footage: Path) -> None:
    results = [tje_of_talk(footage, talk) for talk in (1, 2, 3)]
    for delta, expected in GOLDEN.items():
        values = [result[delta].value for result in results]
        weighted = np.average(values, weights=[result[delta].n_frames for result in results])
        assert [*values, np.mean(values), weighted] == pytest.approx(expected, abs=1e-9)


def test_the_window_drops_old_pairs() -> None:
    window = PairWindow(2)
    frames = [np.full((1, 1, 3), t, np.uint8) for t in range(5)]
    for frame in frames:
        window.push(frame, frame)
    assert [int(window.real(back)[0, 0, 0]) for back in range(3)] == [4, 3, 2]
    with pytest.raises(IndexError):
        window.generated(3)


def test_the_window_has_nothing_before_the_first_frame() -> None:
    window = PairWindow(2)
    window.push(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(IndexError):
        window.real(1)


def test_a_protocol_of_other_versions_is_refused() -> None:
    for versions in ({"psnr": 2}, {"vmaf": 1}):
        with pytest.raises(MetricError):
            metrics_of(versions, DELTAS)
