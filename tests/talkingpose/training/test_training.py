"""Short trainings of a micro model, from configuration to checkpoint."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from safetensors.torch import load_file

from talkingpose import TalkingPosePipeline
from talkingpose.model.inference_settings import read_inference
from talkingpose.training.config import TrainConfig, checked
from talkingpose.training.data.samples import Samples, batches
from talkingpose.training.errors import TrainingError
from talkingpose.training.loop import train
from talkingpose.training.models import build_parts
from talkingpose.training.stages.autoencoder import standardise, start_as_pyramid
from talkingpose.training.stages.denoiser import DenoiserModel, DenoiserTask, start_as_identity
from tests.talkingpose.training.conftest import VAE, awake


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def losses(folder: str) -> np.ndarray:
    return np.array([float(row["loss"]) for row in rows(Path(folder) / "loss.csv")])


@pytest.fixture
def constant(content: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """One speaker, two frames."""
    source = content["source"] | {"options": {"identities": 1, "first_seed": 100}, "validation": {}}
    pool = {"folder": str(tmp_path / "pool"), "groups": 1, "frames": 2}
    return content | {"source": source, "pool": pool, "augmentation": {"crop": 0.0}}


def test_training_lowers_the_loss_and_the_pipeline_reads_the_result(constant: dict[str, Any]) -> None:
    changes = {"steps": 20, "batch_size": 4, "save_dtype": "float16", "ema_decay": 0.9}
    summary = train(checked(constant | changes, "test"))
    out = Path(constant["out"])
    curve = losses(constant["out"])
    assert len(curve) == 20
    assert curve[-6:].mean() < 0.85 * curve[:4].mean()

    weights = load_file(out / "checkpoint" / "denoising_unet" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    pipe = TalkingPosePipeline.from_pretrained(out / "checkpoint", torch_dtype=torch.float32)
    assert pipe.scheduler.config.prediction_type == "v_prediction"
    assert pipe.scheduler.config.beta_schedule == "scaled_linear"
    assert pipe.scheduler.config.rescale_betas_zero_snr
    inference = read_inference(out / "checkpoint")
    assert (inference.num_inference_steps, inference.pose_picture) == (2, "proportional")
    rng = np.random.default_rng(0)
    reference, poses = rng.integers(0, 256, (32, 32, 3), np.uint8), np.zeros((3, 32, 32, 3), np.uint8)
    frames = list(pipe.stream(reference, poses, num_inference_steps=2, guidance_scale=2.0))
    assert len(frames) == 3
    assert all(frame.shape == (32, 32, 3) and frame.dtype == np.uint8 for frame in frames)

    assert summary == json.loads((out / "training.json").read_text())
    assert (summary["steps"], summary["samples"], summary["device"]) == (20, 80, "cpu, 1 threads")
    assert [row["step"] for row in rows(out / "validation.csv")] == ["20"]
    assert (out / "samples" / "step-000020.png").is_file()
    assert "<svg" in (out / "loss.svg").read_text()


def test_autoencoder_learns_and_its_latents_are_standard(vae_content: dict[str, Any], tmp_path: Path) -> None:
    vae_content["pool"] = {"folder": str(tmp_path / "pool"), "groups": 4, "frames": 4}
    train(checked(vae_content | {"steps": 25, "batch_size": 4}, "test"))
    curve = losses(vae_content["out"])
    assert curve[-5:].mean() < 0.8 * curve[:3].mean()
    vae = AutoencoderKL.from_pretrained(Path(vae_content["out"]) / "checkpoint" / "vae")
    assert vae.config.scaling_factor == 1.0
    samples = Samples(checked(vae_content, "test"), 32, (1, 1))
    pictures = torch.stack([samples[number]["target"] for number in range(256)])
    with torch.no_grad():
        latents = vae.encode(pictures.float() / 127.5 - 1).latent_dist.mean.transpose(0, 1).flatten(1)
    assert torch.allclose(latents.mean(1), torch.zeros(4), atol=1e-3)
    assert torch.allclose(latents.std(1), torch.ones(4), atol=1e-3)


@torch.no_grad()
def test_a_random_autoencoder_preserves_the_picture() -> None:
    """The latents are orthonormal images of Haar coefficients, so they keep distances between pictures."""
    torch.manual_seed(0)
    vae = AutoencoderKL(**VAE | {"latent_channels": 12, "block_out_channels": [12, 16]}).eval()
    start_as_pyramid(vae)
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    features = vae.encoder.mid_block(
        vae.encoder.down_blocks[1](vae.encoder.down_blocks[0](vae.encoder.conv_in(pictures)))
    )
    assert features.square().sum() == pytest.approx(pictures.square().sum().item(), rel=1e-4)
    assert torch.allclose(features[:, 0], 2 * torch.nn.functional.avg_pool2d(pictures, 2)[:, 0], atol=1e-5)
    posterior = vae.encode(pictures).latent_dist
    assert posterior.std.max() < 0.06
    assert posterior.mean.std() > 0.3


@torch.no_grad()
def test_standardising_changes_no_reconstruction() -> None:
    torch.manual_seed(0)
    vae = AutoencoderKL(**VAE).eval()
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    inputs = pictures.float() / 127.5 - 1
    before = vae.encode(inputs).latent_dist
    decoded = vae.decode(before.mean).sample
    standardise(vae, pictures, torch.device("cpu"))
    after = vae.encode(inputs).latent_dist
    assert torch.allclose(vae.decode(after.mean).sample, decoded, atol=1e-5)
    assert torch.allclose(after.mean.std((0, 2, 3)), torch.ones(4), atol=1e-4)
    # The posterior's width is scaled along.
    assert torch.allclose(
        after.std / before.std,
        (1 / before.mean.std((0, 2, 3))).view(1, 4, 1, 1).expand_as(after.std),
        rtol=1e-3,
    )


@torch.no_grad()
def test_standardising_without_convolutions_sets_the_scaling_factor() -> None:
    vae = AutoencoderKL(**VAE, use_quant_conv=False, use_post_quant_conv=False).eval()
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    standardise(vae, pictures, torch.device("cpu"))
    latents = vae.encode(pictures.float() / 127.5 - 1).latent_dist.mean * vae.config.scaling_factor
    assert latents.std().item() == pytest.approx(1.0, abs=1e-4)


def test_a_random_unet_starts_as_the_identity(content: dict[str, Any]) -> None:
    config = checked(content, "test")
    parts = build_parts(config)
    inputs = torch.randn(2, 4, 16, 16), torch.tensor([1, 900]), torch.randn(2, 1, 16)
    assert float(parts["unet"](*inputs).sample.abs().max()) > 0
    task = DenoiserTask(config, parts, torch.device("cpu"))
    assert float(task.model.denoising_unet.conv_out.weight.abs().max()) == 0
    for unet in (task.model.denoising_unet, task.model.reference_unet):
        blocks = [m for m in unet.modules() if isinstance(m, ResnetBlock2D)]
        features = torch.randn(1, blocks[0].in_channels, 8, 8)
        assert torch.equal(blocks[0](features, torch.randn(1, 64)), features)


def forward(model: DenoiserModel, portraits: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(*shape, generator=generator) for shape in ((3, 4, 16, 16), (3, 3, 32, 32))]
    other = torch.Generator().manual_seed(seed)
    latents = torch.randn(3, 4, 16, 16, generator=other)
    pixels = torch.randn(3, 3, 16, 16, generator=other)
    rows = torch.arange(3 - portraits, 3)
    output: torch.Tensor = model(inputs[0], torch.tensor([5, 500, 999]), inputs[1], latents, pixels, rows)
    return output


@pytest.fixture
def model(config: TrainConfig) -> DenoiserModel:
    torch.manual_seed(3)
    parts = build_parts(config)
    # The last layer of a fresh pose guider is zero; here the pose should matter.
    awake(parts["pose_guider"])
    return DenoiserModel(parts)


@torch.no_grad()
def test_rows_without_a_condition_see_no_portrait(model: DenoiserModel) -> None:
    one, other, none = forward(model, 2), forward(model, 2, seed=2), forward(model, 0)
    assert torch.equal(one[0], other[0])
    assert torch.allclose(one[0], none[0], atol=1e-5)
    assert not torch.allclose(one[1:], other[1:], atol=1e-3)
    assert not torch.allclose(one[1:], none[1:], atol=1e-3)


@torch.no_grad()
def test_a_shared_portrait_equals_one_per_row(model: DenoiserModel) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((4, 4, 16, 16), (4, 3, 32, 32), (2, 4, 16, 16), (2, 3, 16, 16))
    noisy, pose, latents, pixels = (torch.randn(*shape, generator=generator) for shape in shapes)
    timesteps, rows = torch.tensor([5, 500, 999, 1]), torch.tensor([1, 0, 1])
    shared = model(noisy, timesteps, pose, latents, pixels, rows)
    each = model(noisy, timesteps, pose, latents[rows], pixels[rows])
    assert torch.allclose(shared, each, atol=1e-5)
    assert not torch.allclose(shared, model(noisy, timesteps, pose, latents, pixels, rows.flip(0) * 0))


def test_the_loss_does_not_depend_on_sharing_portraits(content: dict[str, Any]) -> None:
    config = checked(content | {"batch_size": 6, "targets_per_portrait": 3}, "test")
    torch.manual_seed(0)
    task = DenoiserTask(config, build_parts(config), torch.device("cpu"))
    awake(task.model)
    samples = Samples(config, *task.weight_map())
    batch = next(batches(samples, config, 0, 0, 1))
    seen: list[tuple[int, int]] = []

    def model(noisy: torch.Tensor, *inputs: Any) -> torch.Tensor:
        seen.append((len(inputs[2]), len(inputs[4])))
        return task.model(noisy, *inputs)

    def loss(batch: dict[str, torch.Tensor]) -> float:
        return float(task.loss(model, batch, samples, torch.Generator().manual_seed(1)).detach())

    shared, apart = loss(batch), loss(batch | {"pair": torch.arange(6)})
    assert [portraits for portraits, _ in seen] == [2, 6]
    assert seen[0][1] == seen[1][1]
    assert shared == pytest.approx(apart, rel=1e-5)


@pytest.mark.parametrize(("dropout", "reached"), [(1.0, False), (0.0, True)])
def test_condition_dropout_disconnects_the_reference(
    content: dict[str, Any], dropout: float, reached: bool
) -> None:
    config = checked(content | {"diffusion": {"condition_dropout": dropout}}, "test")
    task = DenoiserTask(config, build_parts(config), torch.device("cpu"))
    awake(task.model)
    samples = Samples(config, *task.weight_map())
    batch = next(batches(samples, config, 0, 0, 1))
    task.loss(task.model, batch, samples, torch.Generator().manual_seed(0)).backward()

    def moved(part: torch.nn.Module) -> bool:
        return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters())

    assert moved(task.model.reference_unet) is reached
    assert moved(task.model.image_encoder) is reached
    assert moved(task.model.denoising_unet)


def test_two_numbers_of_samples_go_without_their_condition(content: dict[str, Any]) -> None:
    """The mean of the two numbers is the configured share."""
    config = checked(content | {"batch_size": 6, "diffusion": {"condition_dropout": 0.25}}, "test")
    task = DenoiserTask(config, build_parts(config), torch.device("cpu"))
    samples = Samples(config, *task.weight_map())
    batch = next(batches(samples, config, 0, 0, 1))
    dropped = []

    def model(noisy: torch.Tensor, *inputs: Any) -> torch.Tensor:
        dropped.append(len(noisy) - len(inputs[4]))
        return torch.zeros_like(noisy)

    for seed in range(80):
        task.loss(model, batch, samples, torch.Generator().manual_seed(seed))
    assert set(dropped) == {1, 2}
    assert np.mean(dropped) == pytest.approx(1.5, abs=0.2)


def test_the_image_encoder_gets_the_pixels_of_the_pipeline(config: TrainConfig) -> None:
    from PIL import Image

    task = DenoiserTask(config, build_parts(config), torch.device("cpu"))
    awake(task.model)
    samples = Samples(config, *task.weight_map())
    picture = samples[0]["reference"]
    array = picture.permute(1, 2, 0).numpy()
    square = Image.fromarray(array).resize((16, 16), Image.Resampling.BICUBIC)
    expected = task.pipeline().image_processor(square, return_tensors="pt").pixel_values
    assert torch.allclose(task.clip_pixels(picture[None]), expected, atol=0.02)


def test_gradient_checkpointing_changes_no_gradient(content: dict[str, Any]) -> None:
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        config = checked(content | {"gradient_checkpointing": checkpointing}, "test")
        task = DenoiserTask(config, build_parts(config), torch.device("cpu"))
        awake(task.model)
        samples = Samples(config, *task.weight_map())
        batch = next(batches(samples, config, 0, 0, 1))
        task.loss(task.model, batch, samples, torch.Generator().manual_seed(0)).backward()
        found.append({n: p.grad for n, p in task.model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert all(torch.allclose(value, found[1][name], atol=1e-6) for name, value in found[0].items())


def test_frozen_parts_stay_and_the_average_lags(content: dict[str, Any], vae_folder: Path) -> None:
    content["model"] = content["model"] | {"freeze": ["reference_unet.up_blocks.1", "image_encoder"]}
    config = checked(content | {"ema_decay": 0.999}, "test")
    torch.manual_seed(config.seed)
    start = build_parts(config)
    for name in ("unet", "reference_unet"):
        start_as_identity(start[name])
    train(config)
    pipe = TalkingPosePipeline.from_pretrained(Path(config.out) / "checkpoint")
    kept = pipe.reference_unet.up_blocks[1].state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in start["reference_unet"].up_blocks[1].state_dict().items())
    state = torch.load(Path(config.out) / "state" / "state.pt", weights_only=True)
    name = "denoising_unet.conv_out.weight"
    assert not any(key.startswith("image_encoder") for key in state["model"])
    # Steps 1 to 4 of diffusers' average: 2/11 and so on come from its warm-up.
    averaged, last = pipe.denoising_unet.conv_out.weight, state["model"][name]
    first = start["unet"].conv_out.weight
    assert not torch.equal(averaged, last) and not torch.equal(averaged, first)
    position = list(state["model"]).index(name)
    assert torch.equal(averaged, state["ema"]["shadow_params"][position])


def test_accumulated_batches_equal_one_large_batch(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_noise(
        task: DenoiserTask, _model: Any, batch: dict[str, torch.Tensor], *_: Any
    ) -> torch.Tensor:
        weights = torch.cat([p.flatten() for p in task.model.parameters()])
        loss: torch.Tensor = batch["target"].float().mean() * weights.square().sum()
        return loss

    monkeypatch.setattr(DenoiserTask, "loss", without_noise)
    monkeypatch.setattr(DenoiserTask, "validate", lambda *_: {"psnr": 0.0})
    shapes = ({"batch_size": 4}, {"batch_size": 2, "accumulate": 2})
    first = []
    for number, shape in enumerate(shapes):
        out = tmp_path / str(number)
        train(checked(content | shape | {"steps": 1, "out": str(out)}, "test"))
        (row,) = rows(out / "loss.csv")
        first.append([float(row["loss"]), float(row["grad_norm"])])
        assert json.loads((out / "training.json").read_text())["samples"] == 4
    assert first[0] == pytest.approx(first[1], rel=1e-3)


def test_a_loss_that_is_not_finite_ends_the_training(content: dict[str, Any]) -> None:
    content["optimizer"] = {"learning_rate": 1e30}
    with pytest.raises(TrainingError, match=r"step \d: the loss is (nan|inf): set a smaller optimizer"):
        train(checked(content | {"steps": 8}, "test"))


def test_a_pool_of_something_else_is_refused(constant: dict[str, Any]) -> None:
    train(checked(constant | {"steps": 1}, "test"))
    with pytest.raises(TrainingError, match=r"pool .*was made from another source, size or augmentation"):
        Samples(checked(constant | {"seed": 1}, "test"), 16, (1, 1))
