"""The large configuration with small models in the layouts of the published parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from talkingpose import TalkingPosePipeline
from talkingpose.training.config import TrainConfig, checked, load_config
from talkingpose.training.errors import TrainingError
from talkingpose.training.loop import train
from talkingpose.training.models import build_parts, check_fit
from tests.talkingpose.training.conftest import ENCODER, UNET, VAE, denoiser_content

WIDE = UNET | {
    "block_out_channels": [8, 8, 16, 16],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders in the layouts of the Hub repositories."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("parts")
    AutoencoderKL(**VAE).save_pretrained(root / "sd-vae-ft-mse")
    UNet2DConditionModel(**WIDE).save_pretrained(root / "sd-image-variations-diffusers" / "unet")
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**ENCODER))
    encoder.save_pretrained(root / "sd-image-variations-diffusers" / "image_encoder")
    control = ControlNetModel(
        in_channels=4,
        block_out_channels=WIDE["block_out_channels"],
        down_block_types=WIDE["down_block_types"],
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
        conditioning_embedding_out_channels=(8, 16),
    )
    torch.nn.init.normal_(control.controlnet_cond_embedding.conv_out.weight)
    control.save_pretrained(root / "control_v11p_sd15_openpose")
    return root


@pytest.fixture(scope="module")
def large(parts: Path, vae_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """The shipped sd15 with local repositories and a small batch of small pictures."""
    content = denoiser_content(tmp_path_factory.mktemp("large"), vae_folder)
    shipped = load_config("sd15").model_dump(mode="json")
    for name in ("vae", "unet", "image_encoder", "pose_guider"):
        shipped["model"][name]["pretrained"] = str(parts / Path(shipped["model"][name]["pretrained"]).name)
    small = {name: content[name] for name in ("out", "size", "source", "validation")}
    short = {"steps": 2, "batch_size": 1, "accumulate": 2, "workers": 0, "mixed_precision": "no"}
    return checked(shipped | small | short, "test")


def test_every_part_starts_from_the_published_weights(large: TrainConfig, parts: Path) -> None:
    check_fit(large, build_parts(large, weights=False))
    built = build_parts(large)
    unet = UNet2DConditionModel.from_pretrained(parts / "sd-image-variations-diffusers" / "unet").state_dict()
    for name in ("unet", "reference_unet"):
        assert all(torch.equal(value, unet[key]) for key, value in built[name].state_dict().items())
    control = ControlNetModel.from_pretrained(parts / "control_v11p_sd15_openpose")
    embedding = control.controlnet_cond_embedding.state_dict()
    guider = built["pose_guider"].state_dict()
    started = {key for key, value in guider.items() if not torch.equal(value, embedding[key])}
    assert started <= {"conv_out.weight", "conv_out.bias"}
    assert not guider["conv_out.weight"].any()
    assert not guider["conv_out.bias"].any()


@pytest.fixture(scope="module")
def trained(large: TrainConfig) -> TrainConfig:
    train(large)
    return large


def test_trains_and_keeps_what_the_reference_freezes(trained: TrainConfig, parts: Path) -> None:
    large = trained
    pipe = TalkingPosePipeline.from_pretrained(Path(large.out) / "checkpoint", torch_dtype=torch.float16)
    before = UNet2DConditionModel.from_pretrained(
        parts / "sd-image-variations-diffusers" / "unet", torch_dtype=torch.float16
    )
    frozen, trained = "up_blocks.3.resnets.0.conv1.weight", "down_blocks.0.resnets.0.conv1.weight"
    after, start = pipe.reference_unet.state_dict(), before.state_dict()
    assert torch.equal(after[frozen], start[frozen])
    state = torch.load(Path(large.out) / "state" / "state.pt", weights_only=True)["model"]
    assert f"reference_unet.{frozen}" not in state
    assert not torch.equal(state[f"reference_unet.{trained}"].half(), start[trained])


def test_a_checkpoint_in_half_precision_is_trained_further(trained: TrainConfig, tmp_path: Path) -> None:
    large = trained
    assert large.save_dtype == "float16"
    folders = {
        "vae": "vae",
        "unet": "denoising_unet",
        "reference_unet": "reference_unet",
        "image_encoder": "image_encoder",
        "pose_guider": "pose_guider",
    }
    parts = {
        name: {"pretrained": f"{large.out}/checkpoint", "subfolder": folder}
        for name, folder in folders.items()
    }
    more = checked(
        large.model_dump(mode="json") | {"model": parts, "out": str(tmp_path / "more"), "steps": 1}, "test"
    )
    assert train(more)["steps"] == more.steps
    state = torch.load(Path(more.out) / "state" / "state.pt", weights_only=True)["model"]
    assert {value.dtype for value in state.values()} == {torch.float32}


def test_a_missing_part_is_named(large: TrainConfig) -> None:
    unet = large.model.unet.model_copy(update={"pretrained": "stable-diffusion-v1-5/stable-diffusion-v1-5"})
    config = large.model_copy(update={"model": large.model.model_copy(update={"unet": unet})})
    with pytest.raises(TrainingError, match=r"model.unet: .*'hf download stable-diffusion-v1-5/.*network"):
        train(config)


@pytest.mark.parametrize("damage", ["other class", "weights gone", "weight missing"])
def test_a_folder_of_something_else_is_refused(
    large: TrainConfig, parts: Path, tmp_path: Path, damage: str
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "unet"
    UNet2DConditionModel(**WIDE).save_pretrained(folder)
    file = folder / "diffusion_pytorch_model.safetensors"
    if damage == "other class":
        AutoencoderKL(**VAE).save_pretrained(folder)
    elif damage == "weights gone":
        file.unlink()
    else:
        state = load_file(file)
        del state["conv_in.bias"]
        save_file(state, file)
    unet = large.model.unet.model_copy(update={"pretrained": str(folder), "subfolder": None})
    config = large.model_copy(update={"model": large.model.model_copy(update={"unet": unet})})
    with pytest.raises(TrainingError, match=r"^model.unet: .*unet: ") as caught:
        build_parts(config)
    assert "\n" not in str(caught.value)
