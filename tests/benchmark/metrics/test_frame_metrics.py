"""Metrics of single frames: closed forms, properties, and the library where there is one."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.features.regions import REGIONS, Region, regions
from benchmark.metrics.colour import ColourDifference
from benchmark.metrics.l1 import L1
from benchmark.metrics.lpips import Lpips
from benchmark.metrics.psnr import Psnr
from benchmark.metrics.sharpness import Sharpness
from talkingpose.weights.folder import BUNDLED
from tests.benchmark.metrics.scoring import panned, score, texture


def person(scale: float = 1.0, x: float = 0.5, y: float = 0.5) -> np.ndarray:
    """Keypoints of somebody who sits and shows both hands, about (x, y), (133, 3)."""
    keypoints = np.zeros((133, 3), np.float32)
    places = {
        5: (0.2, 0.1),
        6: (-0.2, 0.1),
        7: (0.3, 0.3),
        8: (-0.3, 0.3),
        9: (0.25, 0.15),
        10: (-0.25, 0.15),
    }
    for index, place in places.items():
        keypoints[index, :2] = place
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    keypoints[23:91, :2] = np.stack([0.1 * np.cos(angles), -0.15 + 0.13 * np.sin(angles)], -1)
    for first, centre in ((91, 0.25), (112, -0.25)):
        angles = np.linspace(0, 2 * np.pi, 21, endpoint=False)
        keypoints[first : first + 21, :2] = np.stack(
            [centre + 0.05 * np.cos(angles), 0.1 + 0.06 * np.sin(angles)], -1
        )
    used = keypoints.any(axis=1)
    keypoints[used, :2] = keypoints[used, :2] * scale + (x, y)
    keypoints[used, 2] = 1
    return keypoints


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_l1_is_the_mean_absolute_difference(seed: int) -> None:
    real, generated = np.random.default_rng(seed).integers(0, 256, (2, 3, 7, 9, 3), np.uint8)
    expected = np.abs(real.astype(int) - generated).mean()
    assert score(L1(), real, generated)[0].value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_counts_only_its_own_pixels(region: Region) -> None:
    areas = regions(person(), 96, 112)
    assert set(areas) == set(REGIONS)
    area = areas[region]
    mask = np.zeros((96, 112), bool)
    mask[area.rows, area.columns] = area.mask > 0
    real = np.stack([texture(t) for t in range(3)])
    generated = real.copy()
    generated[:, mask] += 6
    generated[:, ~mask] = 255 - generated[:, ~mask]
    found, _ = score(L1(region), real, generated, keypoints=person())
    assert (found.value, found.coverage, found.n_frames) == (6, 1, 3)
    found, _ = score(Psnr(region), real, generated, keypoints=person())
    assert found.value == pytest.approx(20 * math.log10(255 / 6), abs=1e-9)
    generated[:, mask] = real[:, mask]
    found, _ = score(Psnr(region), real, generated, keypoints=person())
    assert (found.value, found.n_infinite, found.state) == (None, 3, "ok")


def test_the_background_touches_neither_face_nor_hands() -> None:
    masks = {}
    for name, area in regions(person(), 240, 320).items():
        masks[name] = np.zeros((240, 320), bool)
        masks[name][area.rows, area.columns] = area.mask > 0
    assert not (masks["background"] & (masks["face"] | masks["hands"])).any()
    assert 0.2 < masks["background"].mean() < 0.8
    hull = np.pi * 0.1 * 320 * 0.13 * 240
    assert masks["face"].sum() == pytest.approx(hull, rel=0.05)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 4), st.floats(-1, 2), st.floats(-1, 2), st.sampled_from([(64, 48), (40, 200), (8, 8)]))
def test_regions_lie_within_the_frame(scale: float, x: float, y: float, size: tuple[int, int]) -> None:
    keypoints = person(scale, x, y)
    outside = (keypoints[:, :2] < 0).any(axis=1) | (keypoints[:, :2] > 1).any(axis=1)
    keypoints[outside] = 0
    for area in regions(keypoints, *size).values():
        assert area.mask.shape == np.empty(size)[area.rows, area.columns].shape
        assert area.pixels == np.count_nonzero(area.mask) >= 64


def test_without_keypoints_a_region_is_unavailable() -> None:
    real = panned(0)
    for region in REGIONS:
        for metric in (L1(region), Psnr(region)):
            found, _ = score(metric, real, real, keypoints=np.zeros((133, 3), np.float32))
            assert (found.state, found.value) == ("unavailable", None)
            assert found.reason == f"the dataset's keypoints give no {region}"


def test_colour_of_a_shift_and_of_less_contrast() -> None:
    real = np.stack([texture(t) for t in range(3)]) // 2 + 40
    assert score(ColourDifference("mean"), real, real + 7)[0].value == pytest.approx(7)
    assert score(ColourDifference("std"), real, real + 7)[0].value == pytest.approx(0, abs=1e-9)
    tinted = real.copy()
    tinted[..., 1] += 9
    assert score(ColourDifference("mean"), real, tinted)[0].value == pytest.approx(3)
    flat = np.full_like(real, 90)
    expected = real.reshape(3, -1, 3).std(axis=1).mean()
    assert score(ColourDifference("std"), real, flat)[0].value == pytest.approx(expected)


def test_sharpness_falls_with_blur_and_rises_with_noise() -> None:
    real = np.stack([texture(t) for t in range(2)])
    values = [
        score(Sharpness(), real, np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in real]))[
            0
        ].value
        for sigma in (1, 2, 4)
    ]
    assert 0 > values[0] > values[1] > values[2]
    noise = np.random.default_rng(0).integers(-20, 21, real.shape)
    noisy = (real + noise).clip(0, 255).astype(np.uint8)
    assert score(Sharpness(), real, noisy)[0].value > 1
    assert score(Sharpness(), real, real)[0].value == 0


@pytest.fixture(scope="module")
def random_trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AlexNet with random convolutions in torchvision's format; the unused classifier takes no space."""
    import torch
    from torchvision.models import alexnet

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in alexnet(weights=None).state_dict().items()}
    state = {
        name: 0.05 * torch.randn(shape) if name.startswith("features") else torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
    }
    torch.save(state, folder / "alexnet.pth")
    return folder / "alexnet.pth"


@pytest.mark.parametrize("bundled", [False, True])
def test_lpips_equals_the_lpips_package(
    bundled: bool, random_trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lpips
    import torch
    from safetensors.torch import load_file

    from benchmark.features import alexnet

    if bundled:
        monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
        layers = load_file(BUNDLED / "lpips-alexnet.safetensors")
    else:
        monkeypatch.setattr(alexnet, "find", lambda file_id, needed_by: random_trunk)
        layers = torch.load(random_trunk, weights_only=True)
    monkeypatch.setattr("benchmark.features.registry._loaded", {})
    monkeypatch.setattr("torch.nn.init.kaiming_uniform_", lambda tensor, *args, **options: tensor)
    reference = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    own = dict(reference.net.named_parameters())
    for name, value in own.items():
        _, index, kind = name.split(".")
        value.data = layers[f"features.{index}.{kind}"]
    real, generated = np.stack([texture(0), texture(1)]), np.stack([texture(2), texture(1)])
    found, scores = score(Lpips(), real, generated)
    with torch.inference_mode():
        expected = [
            float(
                reference(
                    *(torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255)) for image in pair),
                    normalize=True,
                )
            )
            for pair in zip(real, generated, strict=True)
        ]
    assert scores == pytest.approx(expected, rel=1e-5)
    assert found.value == pytest.approx(np.mean(expected), rel=1e-5)
    assert scores[1] == 0


def test_lpips_of_a_fixed_pair_with_the_bundled_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expected value: `lpips.LPIPS(net="alex")` 0.1.4 with the same convolutions."""
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
    down, right = np.mgrid[0:64, 0:96]
    real = np.stack([(4 * down) % 256, (3 * right) % 256, (down * right) % 256], axis=2).astype(np.uint8)
    found, _ = score(Lpips(), real[None], real[None, ::-1])
    assert (found.state, found.n_frames) == ("ok", 1)
    assert found.value == pytest.approx(0.39987081, abs=2e-6)


def test_lpips_without_weights_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("talkingpose.weights.folder.BUNDLED", tmp_path)
    real = panned(0, 3)
    found, scores = score(Lpips(), real, real)
    assert (found.state, found.value, found.n_frames) == ("unavailable", None, 0)
    assert found.reason is not None and found.reason.endswith("tp-eval weights fetch lpips-alex")
    assert np.isnan(scores).all() and len(scores) == 3


def test_a_damaged_alexnet_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.features import alexnet
    from benchmark.features.contract import FeatureError
    from benchmark.features.registry import load_extractors

    path = tmp_path / "alexnet.pth"
    path.write_bytes(b"\x80\x04 not a checkpoint")
    monkeypatch.setattr(alexnet, "find", lambda file_id, needed_by: path)
    monkeypatch.setattr("benchmark.features.registry._loaded", {})
    with pytest.raises(FeatureError, match=r"not AlexNet of torchvision .*tp-eval weights fetch lpips-alex"):
        load_extractors(["lpips-alex"])
