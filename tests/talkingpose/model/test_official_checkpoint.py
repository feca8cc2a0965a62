"""Checkpoints in the official layout: accepted, refused, written."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from talkingpose import TalkingPosePipeline
from talkingpose.io.errors import UserError
from talkingpose.model.checkpoint_folder import CheckpointError
from talkingpose.model.model_files import read_pth
from talkingpose.model.official_checkpoint import OFFICIAL_SCHEDULER, REFERENCE_ABSENT, read_official
from talkingpose.model.pose_guider import PoseGuider
from talkingpose.pipeline.talkingpose_pipeline import PipelineError

LAYER = "down_blocks.0.motion_modules.0.temporal_transformer"


@pytest.fixture
def folder(parity_folder: Path, tmp_path: Path) -> Path:
    """A copy of the parity checkpoint; tests replace its files."""
    target = tmp_path / "checkpoint"
    shutil.copytree(parity_folder, target, ignore=shutil.ignore_patterns("*.npz"))
    return target


def change(path: Path, edit) -> None:
    state = torch.load(path, weights_only=True)
    edit(state)
    torch.save(state, path)


def refused(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_official(folder)
    assert "\n" not in str(caught.value)


def motion(weight: float, bias: float) -> dict[str, torch.Tensor]:
    return {
        f"{LAYER}.norm.weight": torch.ones(32),
        f"{LAYER}.transformer_blocks.0.attention_blocks.0.pos_encoder.pe": torch.ones(1, 24, 32),
        f"{LAYER}.proj_out.weight": torch.full((32, 32), weight),
        f"{LAYER}.proj_out.bias": torch.full((32,), bias),
    }


def test_exact_keys(pipe, parity_folder):
    denoising = read_pth(parity_folder / "denoising_unet.pth")
    reference = read_pth(parity_folder / "reference_unet.pth")
    assert pipe.denoising_unet.state_dict().keys() == denoising.keys()
    assert pipe.reference_unet.state_dict().keys() - reference.keys() == REFERENCE_ABSENT
    assert pipe.pose_guider.state_dict().keys() == read_pth(parity_folder / "pose_guider.pth").keys()
    for key, value in denoising.items():
        assert torch.equal(pipe.denoising_unet.state_dict()[key], value)


def test_inert_motion_modules_are_dropped(folder, pipe):
    change(folder / "denoising_unet.pth", lambda state: state.update(motion(0, 0)))
    assert (
        read_official(folder)["denoising_unet"].state_dict().keys() == pipe.denoising_unet.state_dict().keys()
    )


@pytest.mark.parametrize(("weight", "bias"), [(1e-3, 0), (0, 1e-3), (float("nan"), 0)])
def test_live_motion_modules_are_refused(folder, weight, bias):
    change(folder / "denoising_unet.pth", lambda state: state.update(motion(weight, bias)))
    refused(folder, "denoising_unet.pth: down_blocks.0.motion_modules.0 is a trained temporal layer")


def test_motion_modules_without_projection_are_refused(folder):
    def edit(state):
        state.update(motion(0, 0))
        del state[f"{LAYER}.proj_out.bias"]

    change(folder / "denoising_unet.pth", edit)
    refused(folder, "trained temporal layer")


def test_motion_modules_in_the_reference_are_refused(folder):
    change(folder / "reference_unet.pth", lambda state: state.update(motion(0, 0)))
    refused(folder, "reference_unet.pth: 4 keys unknown, the first is down_blocks.0.motion_modules")


@pytest.mark.parametrize("name", ["denoising_unet", "reference_unet", "pose_guider"])
def test_wrong_keys_and_shapes_are_refused(folder, parity_folder, name):
    file = folder / f"{name}.pth"
    change(file, lambda state: state.pop("conv_in.bias"))
    refused(folder, f"{name}.pth: 1 keys missing, the first is conv_in.bias")
    shutil.copy(parity_folder / file.name, file)
    change(file, lambda state: state.update(extra=torch.zeros(1)))
    refused(folder, f"{name}.pth: 1 keys unknown, the first is extra")
    shutil.copy(parity_folder / file.name, file)
    change(file, lambda state: state.update({"conv_in.bias": torch.zeros(3)}))
    refused(folder, f"{name}.pth: 1 keys of another shape, the first is conv_in.bias")


def test_swapped_files_are_refused(folder):
    shutil.copy(folder / "reference_unet.pth", folder / "denoising_unet.pth")
    refused(folder, "denoising_unet.pth: 4 keys missing, the first is conv_norm_out.bias")


def test_a_pose_guider_of_another_width_is_refused(folder):
    change(folder / "pose_guider.pth", lambda s: s.update({"conv_out.weight": torch.zeros(320, 256, 3, 3)}))
    refused(folder, "pose_guider.pth: 1 keys of another shape, the first is conv_out.weight")


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "write", [lambda x, p: torch.save(x, p), lambda x, p: p.write_bytes(pickle.dumps(x, protocol=2))]
)
def test_code_in_a_file_is_not_run(folder, tmp_path, write):
    trap = tmp_path / "trap"
    write({"conv_in.weight": Malicious(trap)}, folder / "pose_guider.pth")
    refused(folder, "pose_guider.pth: contains more than tensors")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a .pth file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a .pth file"),
        (b"PK\x03\x04broken", "damaged"),
    ],
)
def test_damaged_files_are_refused(folder, content, message):
    (folder / "pose_guider.pth").write_bytes(content)
    refused(folder, f"pose_guider.pth: {message}")


def test_a_file_of_something_else_is_refused(folder):
    torch.save([torch.zeros(1)], folder / "pose_guider.pth")
    refused(folder, "not a table of named tensors")


@pytest.mark.parametrize("part", ["denoising_unet.pth", "pose_guider.pth", "base/unet/config.json", "vae"])
def test_a_missing_part_is_named(folder, part):
    path = folder / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused(folder, f"{part} is missing")


def test_no_folder(tmp_path):
    refused(tmp_path / "nowhere", "no such folder")


def test_a_broken_vae_is_refused(folder):
    (folder / "vae" / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"vae/config\.json: invalid JSON"):
        read_official(folder)


def test_vae_weights_that_are_missing_are_refused(folder):
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    del state["decoder.conv_in.weight"]
    save_file(state, file)
    refused(folder, "vae: .*decoder.conv_in.weight")


def test_the_layout_of_the_hub(folder):
    (folder / "weights").mkdir()
    for file in folder.glob("*.pth"):
        file.rename(folder / "weights" / file.name)
    (folder / "base" / "unet").rename(folder / "unet")
    (folder / "scheduler.json").unlink()
    scheduler = read_official(folder)["scheduler"]
    assert {key: scheduler.config[key] for key in OFFICIAL_SCHEDULER} == OFFICIAL_SCHEDULER


def test_save_official_writes_the_same_files(pipe, parity_folder, tmp_path):
    pipe.save_official(tmp_path / "saved")
    for name in ("denoising_unet", "reference_unet", "pose_guider"):
        saved, original = (read_pth(root / f"{name}.pth") for root in (tmp_path / "saved", parity_folder))
        assert saved.keys() == original.keys()
        assert all(torch.equal(saved[key], original[key]) for key in saved)
    with pytest.raises(CheckpointError, match="exists already"):
        pipe.save_official(tmp_path / "saved")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_saved_pipelines_with_missing_weights_are_refused(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    file = tmp_path / "denoising_unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    del state["conv_in.bias"]
    save_file(state, file)
    with pytest.raises(CheckpointError, match=r"denoising_unet: 1 keys missing, the first is conv_in\.bias"):
        TalkingPosePipeline.from_pretrained(tmp_path)


def test_parts_of_different_models_are_refused(pipe):
    with pytest.raises(PipelineError, match="4 times smaller, the VAE 8 times"):
        TalkingPosePipeline(**{**pipe.components, "pose_guider": PoseGuider(32, 3, (16, 32, 64))})
