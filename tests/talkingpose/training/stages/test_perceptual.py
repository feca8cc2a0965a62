"""Stage perceptual, LPIPS in the objective, and learning rates per part."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from benchmark.features.alexnet import LpipsAlex
from talkingpose import TalkingPosePipeline
from talkingpose.model.lpips import Lpips, weighted_mean
from talkingpose.pose import FACE, LEFT_HAND
from talkingpose.training.config import checked
from talkingpose.training.data.groups import region_masks
from talkingpose.training.data.samples import Samples, batches
from talkingpose.training.errors import TrainingError
from talkingpose.training.loop import train
from talkingpose.training.memory import estimate
from talkingpose.training.models import build_parts, check_fit
from talkingpose.training.stages.perceptual import PerceptualTask
from talkingpose.training.stages.picture_loss import FIGURES, PictureLoss
from tests.talkingpose.training.conftest import awake

PICTURE = {"lpips_weight": 0.5, "closeup_weight": 0.5, "closeup_side": 16}


@pytest.fixture
def perceptual(content: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    optimizer = {"learning_rate": 1e-3, "rates": {"vae.decoder": 1e-2, "vae.post_quant_conv": 1e-2}}
    return content | {
        "stage": "perceptual",
        "batch_size": 4,
        "targets_per_portrait": 2,
        "pool": {"folder": str(tmp_path / "pool"), "groups": 2, "frames": 4},
        "picture": PICTURE | {"mse_weight": 2.0, "background_weight": 1.0},
        "optimizer": optimizer,
        "steps": 3,
    }


def state(folder: Path | str) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(Path(folder) / "state" / "state.pt", weights_only=True)
    return content


def columns(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_lpips_equals_the_metric_and_has_a_gradient_everywhere() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 48, 40, 3), np.uint8)
    metric = LpipsAlex()
    difference = metric.vector(images[0]) - metric.vector(images[1])
    pictures = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    lpips = Lpips("test")
    maps = lpips(pictures[:1], pictures[1:])
    whole = sum(float(layer.mean()) for layer in maps)
    assert whole == pytest.approx(float(difference @ difference), rel=1e-4)
    assert float(weighted_mean(maps, torch.ones(1, 1, 48, 40))) == pytest.approx(whole, rel=1e-5)

    flat = torch.full((1, 3, 48, 40), -1.0, requires_grad=True)
    torch.stack([layer.mean() for layer in lpips(flat, pictures[:1])]).sum().backward()
    assert flat.grad is not None
    assert bool(flat.grad.isfinite().all())
    assert bool(flat.grad.any())
    assert not any(p.requires_grad for p in lpips.parameters())


def test_regions_of_a_picture_do_not_overlap_the_background(perceptual: dict[str, Any]) -> None:
    config = checked(perceptual, "test")
    keypoints = Samples(config, 32, (1, 1))[0]["keypoints"].numpy()
    face, hands, mouth, background = region_masks(keypoints, 128)
    assert 0 < mouth.sum() < face.sum() < background.sum()
    assert not (mouth * (1 - face)).any()
    assert not (background * np.maximum(face, hands)).any()
    unseen = keypoints.copy()
    unseen[[5, 6], 2] = 0
    unseen[LEFT_HAND.start :, 2] = 0
    face, hands, _, background = region_masks(unseen, 128)
    assert face.any()
    assert not hands.any()
    assert not background.any()


def test_figures_of_regions_see_only_their_region(perceptual: dict[str, Any]) -> None:
    config = checked(perceptual | {"size": 64}, "test")
    batch = {name: value[None] for name, value in Samples(config, 64, (1, 1))[0].items()}
    distance = PictureLoss(config, torch.device("cpu"))
    target, keypoints = batch["target"], batch["keypoints"]
    same = distance.figures(target, target, keypoints)
    assert set(same) == set(FIGURES)
    assert same["lpips"] == same["lpips_face"] == 0
    inside = torch.from_numpy(region_masks(keypoints[0].numpy(), 64)[0]).bool()
    changed = torch.where(inside, 255 - target, target)
    worse = distance.figures(changed, target, keypoints)
    assert worse["lpips_face"] > 1.4 * worse["lpips"] > 0
    keypoints[:, FACE] = 0
    assert np.isnan(distance.figures(changed, target, keypoints)["lpips_face"])


def test_the_perceptual_stage_trains_everything_behind_the_encoder(perceptual: dict[str, Any]) -> None:
    config = checked(perceptual, "test")
    torch.manual_seed(config.seed)
    before = build_parts(config)
    summary = train(config)
    out = Path(config.out)
    pipe = TalkingPosePipeline.from_pretrained(out / "checkpoint")
    changed = {
        part
        for part in ("encoder", "quant_conv", "decoder", "post_quant_conv")
        if any(
            not torch.equal(value, before["vae"].get_submodule(part).state_dict()[name])
            for name, value in pipe.vae.get_submodule(part).state_dict().items()
        )
    }
    assert changed == {"decoder", "post_quant_conv"}
    trained = state(out)["model"]
    assert {name.split(".")[0] for name in trained} == {
        "denoising_unet", "reference_unet", "pose_guider", "image_encoder", "vae",
    }  # fmt: skip
    assert summary["trained_parameters"] == sum(value.numel() for value in trained.values())
    rows = columns(out / "loss.csv")
    assert len(rows) == 3
    assert all(0 < float(row["lpips"]) < 2 for row in rows)
    assert set(FIGURES) < set(rows[0])
    assert set(FIGURES) < set(columns(out / "validation.csv")[0])


def test_the_sampler_of_the_stage_is_that_of_the_pipeline(perceptual: dict[str, Any]) -> None:
    """Pictures in training equal those of inference, and only the last step has a gradient."""
    config = checked(perceptual | {"sampling": {"steps": 3}}, "test")
    torch.manual_seed(0)
    task = PerceptualTask(config, build_parts(config), torch.device("cpu"))
    awake(task.model)
    task.model.eval()
    batch = next(batches(Samples(config, *task.weight_map()), config, 0, 0, 1))
    shown, rows = task.portraits(batch)
    seeds = [torch.Generator().manual_seed(number) for number in range(4)]
    frames = next(
        task.pipeline().stream(
            [shown["reference"][row].permute(1, 2, 0).numpy() for row in rows],
            [[pose.permute(1, 2, 0).numpy()] for pose in batch["pose"]],
            num_inference_steps=3,
            guidance_scale=1.0,
            gain=0.0,
            generator=seeds,
        )
    )
    noise = torch.cat(
        [torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(n)) for n in range(4)]
    )
    calls: list[bool] = []
    task.model.denoising_unet.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    latents = task._latents_of(shown["reference"])
    pictures, _, predicted = task.model(
        noise,
        batch["pose"].float() / 255,
        latents,
        task.clip_pixels(shown["reference"]),
        rows,
        noise[:1],
        torch.tensor([999]),
    )
    assert calls == [False, False, True]
    assert predicted.shape == (1, 4, 16, 16)
    ours = ((pictures / 2 + 0.5).clamp(0, 1) * 255).permute(0, 2, 3, 1).detach().numpy()
    assert np.abs(ours - np.stack(frames)).max() < 1.1


def test_a_resumed_perceptual_training_gives_the_same_bits(
    perceptual: dict[str, Any], tmp_path: Path
) -> None:
    whole, parts = (perceptual | {"out": str(tmp_path / name)} for name in ("whole", "parts"))
    train(checked(whole, "test"))
    train(checked(parts | {"steps": 1}, "test"))
    train(checked(parts, "test"))
    ours, theirs = state(parts["out"]), state(whole["out"])
    assert ours["step"] == theirs["step"] == 3
    assert all(torch.equal(value, theirs["model"][name]) for name, value in ours["model"].items())
    rates = [group["lr"] for group in ours["optimizer"]["param_groups"]]
    assert sorted(rates) == pytest.approx([1e-3, 1e-2])


def test_a_frozen_encoder_keeps_its_latents(vae_content: dict[str, Any], vae_folder: Path) -> None:
    """Finished UNets know these latents, so the checkpoint is not standardised."""
    vae_content["model"] = {
        "vae": {"pretrained": str(vae_folder)},
        "freeze": ["vae.encoder", "vae.quant_conv"],
    }
    train(checked(vae_content | {"picture": PICTURE, "steps": 2}, "test"))
    out = Path(vae_content["out"])
    before = AutoencoderKL.from_pretrained(vae_folder).state_dict()
    after = AutoencoderKL.from_pretrained(out / "checkpoint" / "vae").state_dict()
    kept = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert {name for name in after if name.startswith(("encoder.", "quant_conv."))} == kept
    assert float(columns(out / "validation.csv")[0]["lpips"]) > 0


def test_wrong_settings_are_refused(perceptual: dict[str, Any]) -> None:
    for changes, reason in (
        ({"picture": {}}, "picture: every weight is 0"),
        ({"picture": PICTURE | {"closeup_side": 48}}, "closeup_side 48"),
        ({"optimizer": {"learning_rate": 1e-3, "rates": {"vae.decoder": 0}}}, "optimizer.rates.vae.decoder"),
    ):
        with pytest.raises(TrainingError, match=reason):
            checked(perceptual | changes, "test")
    config = checked(perceptual | {"optimizer": {"learning_rate": 1e-3, "rates": {"decoder": 1e-3}}}, "test")
    with pytest.raises(TrainingError, match=r"optimizer.rates: decoder: no parameter"):
        check_fit(config, build_parts(config, weights=False))


def test_memory_of_the_stage_is_estimated(perceptual: dict[str, Any]) -> None:
    config = checked(perceptual, "test")
    denoiser = checked(perceptual | {"stage": "denoiser", "optimizer": {"learning_rate": 1e-3}}, "test")
    both = [estimate(c, build_parts(c, weights=False)) for c in (config, denoiser)]
    assert both[0] > both[1] > 0
