"""FID, KID and FVD: closed forms, parity with torch-fidelity, stored features."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.features.i3d import prepared
from benchmark.features.inception import is_sampled
from benchmark.features.registry import load_collection
from benchmark.metrics import AnyMetric, CaseShape, ClipArrays
from benchmark.metrics.fid import Fid
from benchmark.metrics.frechet import bootstrap_interval, frechet_distance, in_joint_span
from benchmark.metrics.fvd import THIRDS, Fvd, FvdThird
from benchmark.metrics.kid import Kid, squared_discrepancy
from benchmark.metrics.scoring import Scoring
from benchmark.protocols.protocol import load_protocol
from benchmark.runner.scorer import npz, read_features

RULE = load_protocol("tp-long@1").aggregation
Floats = npt.NDArray[np.float64]


def clip(name: str, real: Floats, generated: Floats, collection: str = "i3d", person: str = "") -> ClipArrays:
    arrays = {"real": real.astype(np.float32), "generated": generated.astype(np.float32)}
    return ClipArrays(name, person or name, {collection: arrays})


def normal(seed: int, samples: int = 40, dimensions: int = 8, mean: float = 0) -> Floats:
    return np.random.default_rng(seed).normal(mean, 1, (samples, dimensions))


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    dimensions=st.integers(1, 6),
    scale=st.floats(0.1, 10),
)
def test_gaussians_with_covariances_that_commute(seed: int, dimensions: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    means = generator.normal(0, scale, (2, dimensions))
    values = generator.uniform(0, scale, (2, dimensions))
    turn = np.linalg.qr(generator.normal(size=(dimensions, dimensions)))[0]
    covariances = [(turn * v) @ turn.T for v in values]
    expected = np.square(means[0] - means[1]).sum() + np.square(np.sqrt(values[0]) - np.sqrt(values[1])).sum()
    found = frechet_distance(means[0], covariances[0], means[1], covariances[1])
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6 * scale)


def test_gaussians_with_covariances_that_do_not_commute() -> None:
    from scipy.linalg import sqrtm

    a, b = (np.cov(normal(seed, 30), rowvar=False) for seed in (0, 1))
    expected = np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(a @ b)).real
    zero = np.zeros(8)
    assert frechet_distance(zero, a, zero, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(zero, b, zero, a) == pytest.approx(expected, rel=1e-9)


def test_identical_samples_have_no_distance_even_where_they_are_few() -> None:
    for samples in (3, 300):
        features = normal(0, samples, 100)
        score = Fvd().score([clip("a", features, features)], RULE)
        assert score.value == pytest.approx(0, abs=1e-5)


def test_a_shift_is_its_square_and_a_stretch_that_of_the_spread() -> None:
    features = normal(0, 400, 5)
    assert Fvd().score([clip("a", features, features + 2)], RULE).value == pytest.approx(20, rel=1e-5)
    spread = features.var(axis=0, ddof=1).sum()
    around = features.mean(axis=0) + 3 * (features - features.mean(axis=0))
    assert Fvd().score([clip("a", features, around)], RULE).value == pytest.approx(4 * spread, rel=1e-5)


def test_the_span_keeps_the_distance() -> None:
    real, generated = normal(0, 12, 60), normal(1, 12, 60, mean=0.5)

    def distance(a: Floats, b: Floats) -> float:
        moments = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (a, b)]
        return frechet_distance(*moments[0], *moments[1])

    small = in_joint_span(real, generated)
    assert small[0].shape == (12, 24)
    assert distance(*small) == pytest.approx(distance(real, generated), rel=1e-6)


def test_few_windows_are_biased_and_reported() -> None:
    few = Fvd().score([clip("a", normal(0, 30, 400), normal(1, 30, 400))], RULE)
    assert few.value is not None and few.value > 100
    assert few.reason is not None and "30 windows of 16 frames for 400 dimensions: too few" in few.reason
    many = Fvd().score([clip("a", normal(0, 100, 8), normal(1, 100, 8))], RULE)
    assert many.reason == "100 windows of 16 frames for 8 dimensions"


@pytest.mark.parametrize("metric", [Fid(), Kid(), Fvd()], ids=lambda m: m.spec.id)
def test_a_missing_value_has_a_reason(metric: AnyMetric) -> None:
    (collection,) = metric.spec.collections
    assert not isinstance(metric, type)
    one = clip("a", normal(0, 1), normal(1, 1), collection)
    assert metric.score([one], RULE).value is None  # type: ignore[union-attr]
    uneven = metric.score([clip("a", normal(0, 9), normal(1, 8), collection)], RULE)  # type: ignore[union-attr]
    assert uneven.value is None and "9 real" in str(uneven.reason)
    broken = normal(1)
    broken[3, 3] = math.nan
    score = metric.score([clip("a", normal(0), broken, collection)], RULE)  # type: ignore[union-attr]
    assert score.value is None and "non-finite" in str(score.reason)


@pytest.mark.parametrize("metric", [Fid(), Kid(), Fvd()], ids=lambda m: m.spec.id)
def test_the_order_of_the_clips_does_not_matter(metric: AnyMetric) -> None:
    (collection,) = metric.spec.collections
    clips = [
        clip(f"c{i}", normal(i, 9 + i), normal(i + 50, 9 + i), collection, f"p{i % 3}") for i in range(5)
    ]
    first = metric.score(clips, RULE)  # type: ignore[union-attr]
    assert first == metric.score(clips[::-1], RULE)  # type: ignore[union-attr]
    assert first.ci95 is not None and first.value is not None
    assert first.ci95[0] < first.value < first.ci95[1]
    assert metric.score(clips[:1], RULE).ci95 is None  # type: ignore[union-attr]


def test_the_interval_of_a_mean_is_students() -> None:
    from scipy.stats import t

    values = normal(3, 12, 1)[:, 0]

    def mean(weights: Floats) -> float:
        return float(weights @ values / weights.sum())

    found = bootstrap_interval(mean, [str(i) for i in range(12)], RULE, draws=20000)
    half = t.ppf(0.975, 11) * values.std(ddof=1) / math.sqrt(12)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_kid_is_torch_fidelitys_estimator() -> None:
    from torch_fidelity.metric_kid import kernel_poly, mmd2

    real, generated = normal(0, 30, 16), normal(1, 30, 16, mean=0.3)
    options = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1.0}
    kernels = [
        kernel_poly(x, y, **options) for x, y in ((real, real), (real, generated), (generated, generated))
    ]
    estimate = squared_discrepancy([real[:11], real[11:]], [generated[:11], generated[11:]])
    assert estimate(np.ones(2)) == pytest.approx(mmd2(*kernels), rel=1e-10)


def test_kid_is_unbiased() -> None:
    """The mean over many small draws is 0 for equal distributions, and the closed form for others."""
    generator = np.random.default_rng(0)
    draws, dimensions = 1500, 2
    for shift in (0.0, 1.0):
        found = np.empty(draws)
        for i in range(draws):
            real = generator.normal(0, 1, (5, dimensions))
            generated = generator.normal(shift, 1, (7, dimensions))
            found[i] = squared_discrepancy([real], [generated])(np.ones(1))
        error = found.std(ddof=1) / math.sqrt(draws)
        assert abs(found.mean() - discrepancy(shift, dimensions)) < 4 * error
        assert error < (0.2, 0.5)[int(shift)]


def discrepancy(shift: float, dimensions: int) -> float:
    """Return the squared discrepancy of N(0, I) and N(shift, I) under (x . y / D + 1)^3."""

    def expectation(a: Floats, b: Floats) -> float:
        # Of z = x . y / D with independent x ~ N(a, I), y ~ N(b, I): E z^2 and E z^3 by their moments.
        d, dot = len(a), float(a @ b)
        first = dot / d
        second = (dot**2 + a @ a + b @ b + d) / d**2
        third = (dot**3 + 3 * dot * (a @ a + b @ b + d) + 6 * dot) / d**3
        return 1 + 3 * first + 3 * second + third

    a, b = np.zeros(dimensions), np.full(dimensions, shift)
    return float(expectation(a, a) + expectation(b, b) - 2 * expectation(a, b))


def test_kid_does_not_pair_a_drawn_person_with_itself() -> None:
    real, generated = normal(0, 6, 4), normal(1, 6, 4)
    once = squared_discrepancy([real], [generated])
    assert once(np.array([2.0])) == pytest.approx(once(np.array([1.0])))
    assert math.isnan(squared_discrepancy([real[:1]], [generated[:1]])(np.array([2.0])))


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(4)])
def test_five_frames_a_second(fps: Fraction) -> None:
    taken = [t for t in range(int(fps * 10)) if is_sampled(t, fps)]
    assert taken[0] == 0
    assert len(taken) == min(50, int(fps * 10)) or abs(len(taken) - 50) <= 1


@pytest.mark.parametrize("size", [(512, 512), (288, 512), (512, 288), (96, 160), (224, 225)])
def test_i3d_reads_the_centre_of_the_frame(size: tuple[int, int]) -> None:
    ramp = np.zeros((*size, 3), np.uint8)
    ramp[:, :, 0] = np.linspace(0, 255, size[1])[None]
    ramp[:, :, 1] = np.linspace(0, 255, size[0])[:, None]
    found = prepared(ramp)
    assert tuple(found.shape) == (3, 224, 224)
    assert float(found[0].mean()) == pytest.approx(0, abs=0.02)
    assert float(found[1].mean()) == pytest.approx(0, abs=0.02)
    assert float(found[2].max()) == -1


def frames(seed: int, count: int = 40) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (count, 64, 96, 3)).astype(np.uint8)


def collected(
    metrics: list[AnyMetric], real: npt.NDArray[np.uint8], generated: npt.NDArray[np.uint8]
) -> Scoring:
    scoring = Scoring(CaseShape("clip", Fraction(25), 96, 64, len(real)), real[0], metrics)
    for pair in zip(real, generated, strict=True):
        scoring.window.push(*pair)
        scoring.score()
    return scoring


@pytest.mark.usefixtures("standin_weights")
def test_stored_features_give_the_same_score(tmp_path: Path) -> None:
    clips = []
    for index in range(3):
        scores, arrays = collected([Fvd()], frames(index), frames(index + 10)).finish()
        assert (scores["fvd"].state, scores["fvd"].n_frames) == ("ok", 2)
        assert arrays["i3d"]["real"].shape == (2, 400)
        path = tmp_path / f"{index}.npz"
        path.write_bytes(npz(arrays))
        clips.append(
            (ClipArrays(str(index), "p", dict(arrays)), ClipArrays(str(index), "p", read_features(path)))
        )
    first, again = ([pair[i] for pair in clips] for i in (0, 1))
    assert Fvd().score(first, RULE) == Fvd().score(again, RULE)
    value = Fvd().score(first, RULE).value
    assert value is not None and value > 0


@pytest.mark.usefixtures("standin_weights")
def test_features_of_a_window_do_not_depend_on_earlier_windows() -> None:
    _, long = collected([Fvd()], frames(0), frames(1)).finish()
    _, alone = collected([Fvd()], frames(0)[16:32], frames(1)[16:32]).finish()
    for side in ("real", "generated"):
        assert long["i3d"][side][1].tobytes() == alone["i3d"][side][0].tobytes()


@pytest.mark.usefixtures("standin_inception")
def test_inception_is_that_of_torch_fidelity() -> None:
    scoring = collected([Fid(), Kid()], frames(0, 6), frames(1, 6))
    scores, arrays = scoring.finish()
    assert (scores["fid"].n_frames, scores["kid"].n_frames) == (2, 2)
    assert arrays["inception"]["generated"].shape == (2, 2048)
    import torch

    network = load_collection("inception")._network  # type: ignore[attr-defined]
    batch = torch.from_numpy(frames(0, 6)[[0, 5]].transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        (expected,) = network(batch)
    np.testing.assert_allclose(arrays["inception"]["real"], expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(("metric", "file"), [(Fid(), "inception"), (Kid(), "inception"), (Fvd(), "i3d")])
def test_missing_weights_name_the_command(metric: AnyMetric, file: str) -> None:
    scores, arrays = collected([metric], frames(0, 3), frames(0, 3)).finish()
    (score,) = scores.values()
    assert (score.value, score.state, arrays) == (None, "unavailable", {})
    assert str(score.reason).endswith(f"tp-eval weights fetch {file}")


def test_a_file_of_another_kind_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from talkingpose.weights import read_lock
    from tests.benchmark.metrics import standins

    files = {name: tmp_path / read_lock()[name].file for name in ("inception", "i3d")}
    files["inception"].write_bytes(b"no state of a network")
    standins.write_i3d(files["i3d"], dimensions=40)
    monkeypatch.setattr("talkingpose.weights.lock.LOCK_FILE", standins.write_lock(tmp_path, files))
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
    scores, _ = collected([Fid(), Fvd()], frames(0, 3), frames(0, 3)).finish()
    assert "does not hold the weights of Inception" in str(scores["fid"].reason)
    assert "gives (40,) values, not 400" in str(scores["fvd"].reason)
    assert str(tmp_path) not in f"{scores['fid'].reason} {scores['fvd'].reason}"


def test_a_third_is_scored_where_it_holds_enough_windows() -> None:
    generator = np.random.default_rng(0)
    real = generator.normal(size=(6001, 4)).astype(np.float32)
    generated = real.copy()
    generated[-2000:] += 3
    clips = [clip("a", real, generated)]
    values = [FvdThird(third).score(clips, RULE).value for third in THIRDS]
    assert values == pytest.approx([0, 0, 4 * 3**2], abs=1e-3)
    few = FvdThird("last").score([clip("a", real[:5999], generated[:5999])], RULE)
    assert few.value is None and "1999 windows of 16 frames in this third" in str(few.reason)
